// How the pages about logging in are sent: as every page that is one visitor's own, but for the referrer.
import type { Response } from 'express'
import { type PageLanguage, sendOwnPage } from '../../../http/page.ts'

export function sendLoginPage(res: Response, language: PageLanguage, page: string): void {
  // With no-referrer, as elsewhere, a form says `Origin: null`; older browsers send nothing else that tells it from
  // another site's (http/security.ts).
  res.set('Referrer-Policy', 'same-origin')
  sendOwnPage(res, language, page)
}
