// What the pages about logging in have in common, beside what every page has.
import { otherLanguageOf, type Page, type PageLanguage } from '../../../http/page.ts'
import type { Html } from '../../../lib/html.ts'

export interface Document {
  language: PageLanguage
  title: string
  /** The path of this page, for the link to the other language. */
  path: string
  /** Whether it stands in a frame, where no other page of ours may. */
  isFramed?: true
  /** A script of ours under /static/login/, where the page has one. */
  script?: string
  main: Html
}

export function documentHtml({ language, title, path, isFramed, script, main }: Document): Page {
  return {
    language,
    title,
    ...(isFramed && { isFramed }),
    otherUrl: `${path}?lang=${otherLanguageOf(language)}`,
    styles: ['login/login.css'],
    scripts: script ? [`login/${script}`] : [],
    main,
  }
}
