// The language a page of calls is shown in: as ?lang= says, else as the browser asks.
import type { Request } from 'express'
import type { PageLanguage } from './texts.ts'

export function languageOf(req: Request): PageLanguage {
  const { lang } = req.query
  if (lang === 'en' || lang === 'ru') return lang
  return req.acceptsLanguages('en', 'ru') === 'ru' ? 'ru' : 'en'
}
