// Limits on requests: who asks, which rules that comes under, and the headers that say so.
import { type Request, type RequestHandler, type Response, Router } from 'express'
import type { LimitedHit, Limiter } from '../../core/limiter.ts'
import { tooMany } from '../../errors.ts'
import { clientAddress } from './client-address.ts'
import { policies, type Rule } from './policies.ts'
import { policyHeader, rateHeader } from './rate-headers.ts'
import type { SharedAddresses } from './shared-address.ts'

/** Who is known to ask. Only what was verified: a name that anybody can make up is a limit that nobody has. */
export interface Identity {
  readonly user?: string
  readonly session?: string
}

export interface LimitsParts {
  limiter: Pick<Limiter, 'hitAll'>
  sharedAddresses: SharedAddresses
  identify: (req: Request) => Identity
  /** Whose requests are not limited. */
  isAdmin: (req: Request) => boolean
}

export interface Limits {
  /** Counts the request under the rules and sets the headers; refuses with 429 when one is used up. */
  check(rules: readonly Rule[], req: Request, res: Response): Promise<void>
  /** The same as a handler, for a route that names its policy. */
  limitBy(rules: readonly Rule[]): RequestHandler
  /** The address that stands for this client alone; undefined where many share it. */
  addressOf(req: Request): string | undefined
  /** The user, else the address, else the session, which anybody may have many of; undefined where nobody can be told apart. */
  clientOf(req: Request): string | undefined
  /** Limits every change under /api by `policies.api`, but those below the paths in `except`, which have their own. */
  limitChanges(except: readonly string[]): Router
}

interface Client {
  /** The user or the session, when there is one. */
  readonly known: string | undefined
  readonly isUser: boolean
  /** Undefined when many share it, so that it says nothing about who asks. */
  readonly address: string | undefined
}

export function createLimits({ limiter, sharedAddresses, identify, isAdmin }: LimitsParts): Limits {
  function clientOf(req: Request): Client {
    const { user, session } = identify(req)
    const known =
      user !== undefined ? `user:${user}` : session !== undefined ? `session:${session}` : undefined
    // What a proxy calls an address but is none is not believed: then the connection's own counts.
    const from = clientAddress(req.ip) ?? clientAddress(req.socket.remoteAddress)
    const { text, isPrivate } = from ?? { text: 'unknown', isPrivate: true }
    const isShared = isPrivate && sharedAddresses.isShared(text, known ?? browserOf(req))
    return { known, isUser: user !== undefined, address: isShared ? undefined : text }
  }

  async function check(rules: readonly Rule[], req: Request, res: Response): Promise<void> {
    if (isAdmin(req)) return
    const client = clientOf(req)
    const [first, ...rest] = rules.flatMap((rule) => hitUnder(rule, client))
    if (!first) return
    const { allowed, tightest, answers } = await limiter.hitAll([first, ...rest])
    addTo(res, 'RateLimit-Policy', policyHeader([first, ...rest].map(({ policy }) => policy)))
    addTo(res, 'RateLimit', rateHeader(answers))
    if (!allowed) throw tooMany(tightest.retryAfterMs)
  }

  const limitBy = (rules: readonly Rule[]): RequestHandler =>
    async function limitRequest(req, res, next) {
      await check(rules, req, res)
      next()
    }

  return {
    check,
    addressOf: (req) => clientOf(req).address,
    clientOf(req) {
      const { known, isUser, address } = clientOf(req)
      return isUser || address === undefined ? known : `address:${address}`
    },
    limitBy,
    limitChanges(except) {
      const limitByApi = limitBy(policies.api)
      const router = Router()
      router.use('/api', function limitChange(req, res, next) {
        if (READS.has(req.method) || isBelow(req.baseUrl + req.path, except)) return next()
        return limitByApi(req, res, next)
      })
      return router
    },
  }
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

function isBelow(path: string, parents: readonly string[]): boolean {
  const asRouted = path.toLowerCase() // the router does not tell /API from /api
  return parents.some((parent) => asRouted === parent || asRouted.startsWith(`${parent}/`))
}

/** The hit that the rule counts for this client; none when it does not hold for clients nobody can tell apart. */
function hitUnder(rule: Rule, { known, address }: Client): LimitedHit[] {
  if (rule.per === 'everybody') return [{ policy: rule, who: 'all' }]
  if (rule.per === 'client' && known !== undefined) return [{ policy: rule, who: known }]
  if (address !== undefined) return [{ policy: rule, who: `address:${address}` }]
  if (rule.sharedLimit === undefined) return []
  return [{ policy: { ...rule, limit: rule.sharedLimit }, who: 'shared' }]
}

/** Tells visitors without a session apart, roughly; it only decides whether their address is shared. */
const browserOf = (req: Request) => `${req.headers['user-agent']} ${req.headers['accept-language']}`

/** A request can come under the policy of all changes and under its route's own. */
function addTo(res: Response, name: string, value: string): void {
  const before = res.getHeader(name)
  res.setHeader(name, before === undefined ? value : `${before}, ${value}`)
}
