// The language a page is shown in: as ?lang= says, else as the browser asks.
import type { Request, Response } from 'express'
import type { PageLanguage } from './texts.ts'

export function languageOf(req: Request): PageLanguage {
  const { lang } = req.query
  if (lang === 'en' || lang === 'ru') return lang
  return req.acceptsLanguages('en', 'ru') === 'ru' ? 'ru' : 'en'
}

/** A page that is one visitor's own. */
export function sendPage(res: Response, language: PageLanguage, page: string): void {
  res.set({ 'Cache-Control': 'no-store', 'Content-Language': language, Vary: 'Accept-Language, Cookie' })
  // With no-referrer, as elsewhere, a form says `Origin: null`, which older browsers send nothing beside to tell it from
  // another site's (http/security.ts).
  res.set('Referrer-Policy', 'same-origin')
  res.type('html').send(page)
}
