// Every refusal the app gives, as one table; http/problem.ts turns them into answers.
import { Refusal } from './core/errors.ts'

/** A refusal with a stable `code`, answered as a problem document (RFC 9457) with `status`. */
export class AppError extends Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: string,
    status: number,
    detail: string,
    headers: Record<string, string> = {},
    options?: ErrorOptions,
  ) {
    super(code, detail, undefined, options)
    this.status = status
    this.headers = headers
  }
}

const retryAfter = (ms: number) => ({ 'Retry-After': String(Math.max(1, Math.ceil(ms / 1_000))) })

export const unavailable = (code: string, detail: string, retryAfterMs?: number, options?: ErrorOptions) =>
  new AppError(code, 503, detail, retryAfterMs === undefined ? {} : retryAfter(retryAfterMs), options)
export const invalidInput = (detail: string) => new AppError('invalid_input', 400, detail)
export const malformedJson = () => new AppError('malformed_json', 400, 'The body is not valid JSON.')
export const tokenRequired = () =>
  new AppError('token_required', 401, 'Send the admin token: Authorization: Bearer <ADMIN_TOKEN>.', {
    'WWW-Authenticate': 'Bearer realm="samovar"',
  })
/**
 * For pages. `mayAsk`: what speaks HTTP Basic is asked for the token as the password. A browser would ask in a window
 * of its own, before it shows our form.
 */
export const tokenRequiredByPage = ({ mayAsk }: { mayAsk: boolean }) =>
  new AppError(
    'token_required',
    401,
    'Give the admin token (ADMIN_TOKEN) as the password, with any name.',
    mayAsk ? { 'WWW-Authenticate': 'Basic realm="samovar", charset="UTF-8"' } : {},
  )
export const notLoggedIn = () => new AppError('not_logged_in', 401, 'Log in first.')
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
export const callKeyRequired = () =>
  new AppError('call_key_required', 401, 'Log in, or open the call by a link that is at most a day old.')
export const upgradeRequired = () =>
  new AppError('upgrade_required', 426, 'This address speaks WebSocket only.', {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
  })
export const tooManySockets = () =>
  new AppError('too_many_sockets', 503, 'No more open connections fit here at the moment.', {
    'Retry-After': '10',
  })
export const tooManySocketsHere = () =>
  new AppError('too_many_sockets_here', 429, 'Too many calls are open from this address.', {
    'Retry-After': '10',
  })
export const stopping = () =>
  new AppError('stopping', 503, 'This process is being stopped; try again.', { 'Retry-After': '1' })
export const unknownSource = () =>
  new AppError(
    'unknown_source',
    404,
    'Webhooks of this source are not accepted: WEBHOOK_SECRETS has no secret for it.',
  )
export const badSignature = () =>
  new AppError('bad_signature', 401, 'The signature does not prove that this source sent these bytes.')
export const outsideTolerance = () =>
  new AppError('outside_tolerance', 400, 'The signature is right, but its timestamp is too old or too new.')
export const deliveryRunning = (retryAfterMs: number) =>
  new AppError('delivery_running', 409, 'This delivery is being handled right now.', retryAfter(retryAfterMs))
export const requestRunning = (retryAfterMs: number) =>
  new AppError(
    'request_running',
    409,
    'A request with this Idempotency-Key is being answered right now.',
    retryAfter(retryAfterMs),
  )
export const otherBody = () => new AppError('other_body', 422, 'This id has been used, with another body.')
export const sourceClosed = () =>
  new AppError('source_closed', 503, 'This source is closed while Redis is away.', { 'Retry-After': '30' })
export const senderUnavailable = (options?: ErrorOptions) =>
  new AppError(
    'sender_unavailable',
    503,
    'The sender of this delivery cannot be asked whether it is true. Send it again.',
    { 'Retry-After': '30' },
    options,
  )
export const recordsUnavailable = (options?: ErrorOptions) =>
  new AppError(
    'records_unavailable',
    503,
    'The database of records cannot be used right now.',
    { 'Retry-After': '5' },
    options,
  )
export const handlerFailed = () =>
  new AppError('handler_failed', 500, 'The handler of this delivery failed; sending it again runs it again.')
export const jobsUnavailable = () =>
  new AppError(
    'jobs_unavailable',
    503,
    'Redis is away, or switched off: jobs are run from memory, and this page shows only those in Redis.',
    { 'Retry-After': '5' },
  )
export const deadLetterAway = () =>
  new AppError(
    'jobs_unavailable',
    503,
    'Redis, which has that dead letter, is away. Nothing was changed: try again when Redis is back.',
    { 'Retry-After': '5' },
  )
export const deadLetterUnknown = () => new AppError('not_found', 404, 'There is no such dead letter.')
export const notDead = () =>
  new AppError('not_dead', 409, 'That job is no dead letter: it waits, runs, or was done.')
export const notFound = (what: string) => new AppError('not_found', 404, `${what} does not exist.`)
export const methodNotAllowed = (allowed: string) =>
  new AppError('method_not_allowed', 405, `Use one of: ${allowed}.`, { Allow: allowed })
export const bodyTooLarge = (limitBytes: number) =>
  new AppError('body_too_large', 413, `The body may have at most ${limitBytes / 1024} kB.`)
export const notJson = () =>
  new AppError('not_json', 415, 'Send the body as JSON: Content-Type: application/json.')
export const encodingUnsupported = () =>
  new AppError('encoding_unsupported', 415, 'Send the body without a Content-Encoding.')
export const tooMany = (retryAfterMs: number) =>
  new AppError('too_many_requests', 429, 'Too many requests; Retry-After says when to come back.', {
    ...retryAfter(retryAfterMs),
  })
export const tooManyAtOnce = () =>
  new AppError(
    'too_many_at_once',
    429,
    'Too much of this client is under way here; let some of it end first.',
    {
      ...retryAfter(1_000),
    },
  )
export const busy = () => unavailable('busy', 'This process has as much under way as it can carry.', 1_000)
export const twoHosts = () => new AppError('two_hosts', 400, 'A request has exactly one Host header.')
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
export const refreshFailed = (options?: ErrorOptions) =>
  new AppError(
    'source_failed',
    503,
    'The database of reference data cannot be read, the log says why; the last good copy is kept.',
    { 'Retry-After': '5' },
    options,
  )
/** More names wait for CoinGecko than it answers in a few calls. */
export const tooManyNames = () =>
  new AppError('too_many_names', 503, 'Too many prices are waited for right now. Try again in a moment.', {
    'Retry-After': '5',
  })
/** Of all clients together; one client's own share is `too_many_requests`. */
export const sourcesBusy = () =>
  new AppError('sources_busy', 503, 'Too much that is not cached is asked for right now. Try again.', {
    'Retry-After': '10',
  })
export const pricesUnavailable = (retryAfterMs: number, options?: ErrorOptions) =>
  new AppError(
    'prices_unavailable',
    503,
    'CoinGecko cannot be asked right now, and no copy is cached.',
    retryAfter(retryAfterMs),
    options,
  )
export const tooManyAlerts = (most: number) =>
  new AppError('too_many_alerts', 409, `You have ${most} alerts, and may not have more: delete one first.`)
export const alertChanged = () =>
  new AppError('alert_changed', 409, 'This alert was changed by others at the same moment. Try again.')
export const unknownCoin = (coin: string, vs: string) =>
  new AppError('unknown_coin', 422, `CoinGecko has no price of ${coin} in ${vs}.`)
export const expiresInPast = () => new AppError('expires_in_past', 422, 'expiresAt is in the past.')
export const unsafeUrl = (reason: string) => new AppError('unsafe_url', 422, `url: ${reason}.`)
