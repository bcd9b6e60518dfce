// What the operator calls the site, for every page: set once, when the app is opened (SITE_NAME, SITE_URL, SITE_LOGO).
export interface SiteIdentity {
  /** Undefined: the app's own. */
  readonly name: string | undefined
  /** Where it is on the internet, for links that leave it. */
  readonly url: URL | undefined
  readonly logo: Logo | undefined
}

export interface Logo {
  readonly bytes: Buffer
  readonly type: string
}

export const LOGO_PATH = '/site-logo'

let identity: SiteIdentity = { name: undefined, url: undefined, logo: undefined }

export function setSiteIdentity(next: SiteIdentity): void {
  identity = next
}

export const siteIdentity = (): SiteIdentity => identity

/**
 * Of a page and its twin in the other language: its one address for search engines, where the site has one. Of its
 * parameters `page` is kept: the third page of a list is not the first one.
 */
export function canonicalUrl(otherUrl: string, language: string): string | undefined {
  const { url } = identity
  if (!url) return undefined
  const page = new URL(otherUrl, url)
  const number = page.searchParams.get('page') ?? ''
  const part = /^[1-9]\d{0,8}$/.test(number) && number !== '1' ? `&page=${number}` : ''
  return `${page.origin}${page.pathname}?lang=${language}${part}`
}
