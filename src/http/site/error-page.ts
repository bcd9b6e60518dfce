// A refusal or failure as a page, for people: the same status, headers and sentence as the problem document that
// programs get.
import type { Request, Response } from 'express'
import type { AppError } from '../../errors.ts'
import { type Html, html } from '../../lib/html.ts'
import {
  languageOf,
  otherLanguageOf,
  type Page,
  type PageLanguage,
  sendOwnPage,
  sendPageTo,
} from '../page.ts'
import { type ErrorTexts, texts } from './error-texts.ts'
import { siteOf } from './site-header.ts'

/** Below these only programs ask, whatever they accept: some HTTP libraries ask for HTML by themselves. */
const OF_PROGRAMS = /^\/+(api|static|ws)(\/|\?|$)/i
const LONGEST_ADDRESS = 1_000

/** Whether a person is to read the answer. */
export function wantsPage(req: Request): boolean {
  return !OF_PROGRAMS.test(req.originalUrl) && req.accepts(['json', 'html']) === 'html'
}

/** Sends it; `status` and headers are set already. */
export async function sendErrorPage(req: Request, res: Response, problem: AppError): Promise<void> {
  const page = errorPage(req, problem)
  // What is refused for want of room costs no read of who asks.
  const isCheap = problem.status === 429 || problem.status === 503
  if (isCheap) return sendPageTo(res, page, { kind: 'unknown' })
  return sendOwnPage(res, page)
}

function errorPage(req: Request, { status, code, message }: AppError): Page {
  const language = languageOf(req)
  const text = texts[language]
  const main = html`<p class="notice" role="alert" data-code="${code}" lang="en">${message}</p>
${status >= 500 ? html`<p><small>${text.number} <code>${String(req.id)}</code></small></p>` : ''}
<div class="actions">${actions(req, status, code, text)}</div>`
  return {
    language,
    title: titleOf(status, text),
    ...subtitleOf(status, text),
    otherUrl: addressOf(req, otherLanguageOf(language)),
    styles: [],
    scripts: [],
    main,
  }
}

const titleOf = (status: number, { titles, refused, failed }: ErrorTexts) =>
  titles[status as keyof typeof titles] ?? (status < 500 ? refused : failed)

function subtitleOf(status: number, { notHere, later, ours, yours }: ErrorTexts): Pick<Page, 'subtitle'> {
  if (status === 404) return { subtitle: notHere }
  if (status === 429 || status === 503) return { subtitle: later }
  if (status >= 500) return { subtitle: ours }
  return status === 400 || status > 405 ? { subtitle: yours } : {}
}

function actions(req: Request, status: number, code: string, text: ErrorTexts): Html[] {
  const language = languageOf(req)
  const again = html`<a class="button" href="${addressOf(req, language)}">${text.again}</a>`
  const path = siteOf(req).userPages()?.logIn // not where nobody can log in
  const logIn = path && html`<a class="button" href="${path}?lang=${language}">${text.logIn}</a>`
  return [
    ...(logIn && code === 'not_logged_in' ? [logIn] : []),
    ...(req.method === 'GET' && (status === 429 || status >= 500) ? [again] : []),
    html`<a href="/?lang=${language}">${text.home}</a>`,
  ]
}

/** Of the page that was asked for, in a language; of the first page where that would lead to another site. */
function addressOf(req: Request, language: PageLanguage): string {
  const [path = '', query] = req.originalUrl.split('?')
  if (req.method !== 'GET' || req.originalUrl.length > LONGEST_ADDRESS || !/^\/([^/\\]|$)/.test(path))
    return `/?lang=${language}`
  const search = new URLSearchParams(query)
  search.set('lang', language)
  return `${path}?${search}`
}
