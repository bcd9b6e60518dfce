// What an answer must not be. Who may be answered with success is written here, not taken from the app: a route that
// is in no line is for nobody, and so a new one needs its line.
import type { AppRoute } from '../helpers/app-routes.ts'
import type { RawAnswer } from '../helpers/raw-request.ts'
import type { MadeRequest, Proof } from './made.ts'

type Who = 'anybody' | 'nobody' | Proof

const SUCCESS: Readonly<Record<string, Who>> = {
  'GET /livez': 'anybody',
  'GET /readyz': 'anybody',
  'GET /version': 'anybody',
  'GET /status': 'anybody',
  'GET /': 'anybody',
  'GET /login': 'anybody',
  'GET /login/webapp': 'anybody',
  'GET /markets': 'anybody',
  'GET /call': 'anybody',
  'GET /call/:room': 'anybody',
  'GET /api/countries': 'anybody',
  'GET /api/countries/:code': 'anybody',
  'GET /api/coins': 'anybody',
  'GET /api/coins/:id': 'anybody',
  'GET /api/coins/:id/history': 'anybody',
  'GET /api/markets/stats': 'anybody',
  'GET /static/calls/partysocket.js': 'anybody',
  'GET /favicon.ico': 'anybody',
  'ALL /static': 'anybody',
  'ALL /static/login': 'anybody',
  'ALL /static/markets': 'anybody',
  'ALL /static/alerts': 'anybody',
  'ALL /static/calls': 'anybody',
  'ALL /static/page': 'anybody',
  // Every login here is wrong, and what is right elsewhere leads to another page.
  'GET /api/auth/telegram/start': 'nobody',
  'GET /api/auth/telegram/callback': 'nobody',
  'GET /api/auth/telegram': 'nobody',
  'POST /api/auth/telegram': 'nobody',
  'POST /api/auth/telegram/webapp': 'nobody',
  'POST /api/auth/telegram/attempt': 'anybody',
  'GET /api/auth/telegram/widget': 'nobody',
  'POST /account/revoke': 'nobody',
  'POST /account/revoke-others': 'nobody',
  'POST /account/logout': 'nobody',
  'GET /ws': 'nobody',
  'GET /ws/alerts': 'nobody',
  'GET /account': 'user',
  'GET /api/me': 'user',
  'POST /api/logout': 'anybody',
  'GET /api/sessions': 'user',
  'DELETE /api/sessions': 'user',
  'DELETE /api/sessions/:id': 'user',
  'GET /api/alerts': 'user',
  'POST /api/alerts': 'user',
  'GET /api/alerts/crossings': 'user',
  'POST /api/alerts/bot': 'user',
  'GET /api/alerts/webhook': 'user',
  'POST /api/alerts/webhook': 'user',
  'DELETE /api/alerts/webhook': 'user',
  'GET /api/alerts/:id': 'user',
  'PATCH /api/alerts/:id': 'user',
  'DELETE /api/alerts/:id': 'user',
  'POST /api/calls': 'user',
  'POST /api/webhooks/:source': 'signature',
  'GET /api/webhooks/:source/deliveries': 'admin',
  'POST /api/reference/refresh': 'admin',
  'GET /api/cache/stats': 'admin',
  'POST /api/cache/clear': 'admin',
  'GET /api/outages': 'admin',
  'ALL /admin/jobs': 'admin',
  'GET /admin/jobs/dead': 'admin',
  'POST /admin/jobs/dead/retry': 'nobody',
  'GET /api/jobs/dead': 'admin',
  'POST /api/jobs/dead/retry': 'admin',
  'GET /admin/login': 'anybody',
  'POST /admin/login': 'nobody',
  'POST /admin/logout': 'nobody',
}

/** 5xx that are answers: what is not set up, and what is not there at the moment and comes back. */
const PLANNED: Readonly<Record<number, readonly string[]>> = {
  501: ['not_configured'],
  503: [
    'prices_unavailable',
    'jobs_unavailable',
    'telegram_unavailable',
    'source_closed',
    'too_many_sockets',
  ],
}

const patternOf = ({ method, path }: AppRoute) =>
  new RegExp(
    `^${path.replace(/\/$/, '').replace(/:\w+/g, '[^/]+')}${method === 'ALL' ? '(/.*)?' : '/?'}$`,
    'i',
  )

export function createJudge(
  routes: readonly AppRoute[],
): (made: MadeRequest, answer: RawAnswer) => string | undefined {
  const patterns = routes.map((route) => ({ route, pattern: patternOf(route) }))

  function routeOf({ method, target }: MadeRequest): string | undefined {
    const path = target.replace(/^https?:\/\/[^/]*/, '').split(/[?#]/)[0] as string
    const named = method === 'HEAD' ? 'GET' : method
    const fits = patterns.filter(({ pattern }) => pattern.test(/^\/+$/.test(path) ? '' : path))
    const exact = fits.find(({ route }) => route.method === named)
    const { route } = exact ?? fits.find(({ route }) => route.method === 'ALL' && named === 'GET') ?? {}
    return route && `${route.method} ${route.path}`
  }

  return function faultOf(made, answer) {
    const { method } = made
    const { status, headers, body } = answer
    const code = /(?:"code":|data-code=)"(\w+)"/.exec(body)?.[1] ?? ''
    if (status === -1) return 'no answer'
    if (status === 0) return made.isCut || made.wrong.length > 0 ? undefined : 'hung up on without an answer'
    if (status >= 500) {
      const isPlanned = PLANNED[status]?.includes(code) || (method === 'HEAD' && status in PLANNED)
      return isPlanned ? undefined : `${status} ${code}`.trim()
    }
    if (headers.has('x-injected')) return 'a header of the sender is among the answer’s'
    const location = headers.get('location') ?? ''
    if (/^(\/\/|\/\\|https?:\/\/evil)/i.test(location)) return `sent to ${location.slice(0, 60)}`
    const route = routeOf(made)
    const isSuccess = (status >= 200 && status < 300) || status === 101
    if (!isSuccess) return undefined
    // Express answers it itself where a route leaves it alone: with the methods there are.
    if (method === 'OPTIONS' && headers.has('allow')) return undefined
    if (status === 101) return made.frames && made.proofs.has('user') ? undefined : '101 without a login'
    const who = SUCCESS[route ?? ''] ?? 'nobody'
    const isAllowed = who === 'anybody' || (who !== 'nobody' && made.proofs.has(who))
    if (!isAllowed) return `${status} of ${route ?? 'no route'}, which is for ${who}`
    // A webhook's sender may send what it likes; who reads is not asked for a body.
    const isRead = ['GET', 'HEAD'].includes(method)
    const reasons = made.wrong.filter((reason) =>
      isRead || who === 'signature' ? /host|length|header/.test(reason) : true,
    )
    return reasons.length > 0 ? `${status} in spite of: ${reasons.join(', ')}` : undefined
  }
}

/** Lines of the table that are of no route, and so are out of date. */
export function unknownLines(routes: readonly AppRoute[]): string[] {
  const known = new Set(routes.map(({ method, path }) => `${method} ${path}`))
  return Object.keys(SUCCESS).filter((line) => !known.has(line))
}
