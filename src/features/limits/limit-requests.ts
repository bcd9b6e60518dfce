// Limits on requests: whose request it is, which rules apply, and the headers that say so.
import type { Request, RequestHandler, Response } from 'express'
import type { LimitedHit, Limiter } from '../../core/limiter.ts'
import { tooMany } from '../../errors.ts'
import type { RequestLimits, Rule } from '../../feature.ts'
import { clientAddress } from '../../lib/client-address.ts'
import { policies } from './policies.ts'
import { policyHeader, rateHeader } from './rate-headers.ts'
import type { SharedAddresses } from './shared-address.ts'
import { createUpstreamBudget } from './upstream-budget.ts'

/** The client, as far as it was verified: a limit on a name that clients can make up limits none of them. */
export interface Identity {
  readonly user?: string
  readonly session?: string
}

export interface LimitsParts {
  limiter: Pick<Limiter, 'hitAll'>
  sharedAddresses: SharedAddresses
  identify: (req: Request) => Identity | Promise<Identity>
  /** Whose requests are not limited. */
  isAdmin: (req: Request) => boolean
}

export interface Limits extends RequestLimits {
  /** `check` as a handler. */
  limitBy(rules: readonly Rule[]): RequestHandler
}

interface Client {
  /** The user or the session, when there is one. */
  readonly known: string | undefined
  readonly isUser: boolean
  /** Undefined when many share it, so that it says nothing about the client. */
  readonly address: string | undefined
}

export function createLimits({ limiter, sharedAddresses, identify, isAdmin }: LimitsParts): Limits {
  async function clientOf(req: Request): Promise<Client> {
    const { user, session } = await identify(req)
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
    const client = await clientOf(req)
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

  // The session last: anybody may have many.
  async function nameOf(req: Request): Promise<string | undefined> {
    const { known, isUser, address } = await clientOf(req)
    return isUser || address === undefined ? known : `address:${address}`
  }

  return {
    check,
    admitReads: createUpstreamBudget({ clientOf: nameOf, isAdmin }),
    addressOf: async (req) => (await clientOf(req)).address,
    clientOf: nameOf,
    limitBy,
    limitChanges(except) {
      const limitByApi = limitBy(policies.api)
      return function limitChange(req, res, next) {
        const isChange = !READS.has(req.method) && isBelow(req.path, ['/api'])
        if (!isChange || isBelow(req.path, except)) return next()
        return limitByApi(req, res, next)
      }
    },
  }
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

function isBelow(path: string, parents: readonly string[]): boolean {
  const asRouted = path.toLowerCase() // the router does not tell /API from /api
  return parents.some((parent) => asRouted === parent || asRouted.startsWith(`${parent}/`))
}

/** The hit that the rule counts for this client; none when it does not hold for clients that cannot be told apart. */
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
