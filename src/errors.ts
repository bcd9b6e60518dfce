// Every refusal the app gives, as one table; http/problem.ts turns them into answers.

/** A refusal with a stable `code`, answered as a problem document (RFC 9457) with `status`. */
export class AppError extends Error {
  readonly code: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: string,
    status: number,
    detail: string,
    headers: Record<string, string> = {},
    options?: ErrorOptions,
  ) {
    super(detail, options)
    this.code = code
    this.status = status
    this.headers = headers
  }
}

export const invalidInput = (detail: string) => new AppError('invalid_input', 400, detail)
export const malformedJson = () => new AppError('malformed_json', 400, 'The body is not valid JSON.')
export const tokenRequired = () =>
  new AppError('token_required', 401, 'Send the admin token: Authorization: Bearer <ADMIN_TOKEN>.', {
    'WWW-Authenticate': 'Bearer realm="samovar"',
  })
export const notLoggedIn = () => new AppError('not_logged_in', 401, 'Log in first.')
export const adminTokenUnset = () =>
  new AppError('admin_token_unset', 403, 'Only the admin may see this: set ADMIN_TOKEN and send it.')
/** One code and one sentence for every reason, so that nobody learns from them how far a forgery came. */
export const loginRefused = (options?: ErrorOptions) =>
  new AppError(
    'login_refused',
    401,
    'This login was not confirmed by Telegram, is too old, or was used before. Log in again.',
    {},
    options,
  )
export const crossSite = () =>
  new AppError('cross_site', 403, 'A page of another site may not change anything here.')
export const notFound = (what: string) => new AppError('not_found', 404, `${what} does not exist.`)
export const methodNotAllowed = (allowed: string) =>
  new AppError('method_not_allowed', 405, `Use one of: ${allowed}.`, { Allow: allowed })
export const bodyTooLarge = () => new AppError('body_too_large', 413, 'The body may have at most 100 kB.')
export const notJson = () =>
  new AppError('not_json', 415, 'Send the body as JSON: Content-Type: application/json.')
export const tooMany = (retryAfterMs: number) =>
  new AppError('too_many_requests', 429, 'Too many requests; Retry-After says when to come back.', {
    'Retry-After': String(Math.max(1, Math.ceil(retryAfterMs / 1_000))),
  })
export const internal = () =>
  new AppError('internal', 500, 'Something broke here; the log has the requestId.')
export const notConfigured = (variables: string) =>
  new AppError('not_configured', 501, `This way to log in is not set up: set ${variables}.`)
export const telegramUnavailable = (options?: ErrorOptions) =>
  new AppError(
    'telegram_unavailable',
    503,
    'Telegram does not answer as it should. Try again in a moment.',
    { 'Retry-After': '5' },
    options,
  )
export const sourceFailed = (options?: ErrorOptions) =>
  new AppError(
    'source_failed',
    503,
    'The source of this data does not answer, and no copy is cached.',
    { 'Retry-After': '1' },
    options,
  )
export const stateFull = () =>
  new AppError('state_full', 503, 'The memory for state is used up while Redis is away.', {
    'Retry-After': '5',
  })
