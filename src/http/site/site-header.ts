// The header of every page: where the site leads, and who is logged in. It is made when a page is sent, because it
// depends on who asks.
import type { Request } from 'express'
import { Html, html } from '../../lib/html.ts'

export interface SiteLink {
  /** With or without a `#`. */
  readonly path: string
  readonly en: string
  readonly ru: string
}

/** The pages of the feature that tells who is logged in. */
export interface UserPages {
  readonly logIn: string
  readonly account: string
  /** Takes a POST. */
  readonly logOut: string
}

/** `unknown`: not read, or nothing that knows it can be read now. */
export type Visitor =
  | { readonly kind: 'guest' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'user'; readonly name: string }

export interface Site {
  /** Of all features that run. */
  links(): readonly SiteLink[]
  /** Undefined where nobody can log in. */
  userPages(): UserPages | undefined
  visitor(req: Request): Promise<Visitor>
}

const NO_SITE: Site = {
  links: () => [],
  userPages: () => undefined,
  visitor: async () => ({ kind: 'guest' }),
}

export const siteOf = (req: Request): Site => (req.app.locals.site as Site | undefined) ?? NO_SITE

const texts = {
  en: { pages: 'Site', skip: 'Skip to the content', logIn: 'Log in', logOut: 'Log out', account: 'Account' },
  ru: {
    pages: 'Разделы',
    skip: 'Перейти к содержанию',
    logIn: 'Войти',
    logOut: 'Выйти',
    account: 'Учётная запись',
  },
}
type Language = keyof typeof texts

export interface HeaderModel {
  language: Language
  /** Of the page itself: its link is marked. */
  path: string
  links: readonly SiteLink[]
  userPages: UserPages | undefined
  visitor: Visitor
}

const nothing = new Html('')

export function skipLink(language: Language): Html {
  return html`<a class="skip" href="#content">${texts[language].skip}</a>`
}

export function navigationHtml({ language, path, links, userPages, visitor }: HeaderModel): Html {
  const text = texts[language]
  // What the visitor's own part shows is shown once.
  const shown = links.filter((link) => link.path !== userPages?.account)
  const linkHtml = (link: SiteLink) =>
    html`<a href="${inLanguage(link.path, language)}"${current(link.path, path)}>${link[language]}</a>`
  const nav = html`<nav aria-label="${text.pages}">${shown.map(linkHtml)}</nav>`
  const own = userPages ? visitorHtml(language, path, userPages, visitor) : nothing
  return html`${shown.length > 0 ? nav : nothing}${own}`
}

function visitorHtml(language: Language, path: string, pages: UserPages, visitor: Visitor): Html {
  const text = texts[language]
  const account = (name: string) =>
    html`<a href="${pages.account}?lang=${language}" id="account"${current(pages.account, path)}>${name}</a>`
  const logIn = html`<a href="${pages.logIn}?lang=${language}"${current(pages.logIn, path)}>${text.logIn}</a>`
  if (visitor.kind === 'unknown') return html`<div class="visitor">${account(text.account)}</div>`
  if (visitor.kind === 'guest') return html`<div class="visitor">${logIn}</div>`
  const logOut = html`<form method="post" action="${pages.logOut}?lang=${language}">
  <button class="quiet">${text.logOut}</button></form>`
  return html`<div class="visitor">${account(visitor.name)}${logOut}</div>`
}

const current = (link: string, path: string) => new Html(link === path ? ' aria-current="page"' : '')

function inLanguage(path: string, language: Language): string {
  const [before = '', anchor] = path.split('#')
  return `${before}?lang=${language}${anchor === undefined ? '' : `#${anchor}`}`
}
