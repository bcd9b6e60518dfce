// What reads may cost that are not cached: each makes work upstream, here and at the source. A client has a share, and
// all have one together; both are counted by this process alone, whose memory and time they are to save. Cached reads
// cost nothing.
import type { Request } from 'express'
import { createOwnLimit, createOwnLimits, type OwnLimits } from '../../core/limiter.ts'
import { sourcesBusy, tooMany } from '../../errors.ts'
import type { Admit } from '../../feature.ts'
import { MINUTE, type Now, SECOND } from '../../lib/time.ts'

/** A page of prices from cold costs about 50, the longest list 251, all listed coins of three currencies 765. */
export const upstreamPolicies = {
  client: { name: 'upstream', limit: 1_000, windowMs: MINUTE },
  /** Of an IPv6 /48, whose owner has 65,536 clients of /64. */
  network: { name: 'upstream-network', limit: 2_000, windowMs: MINUTE },
  /** Of all whose address is shared by many. */
  shared: { name: 'upstream-shared', limit: 2_000, windowMs: MINUTE },
  all: { name: 'upstream-all', limit: 4_000, windowMs: MINUTE },
}
const RETRY_MS = 10 * SECOND // where the window has room again in parts

interface Share {
  hasRoom(cost: number): boolean
  hit(cost: number): boolean
}

export interface UpstreamBudgetParts {
  /** Undefined where clients cannot be told apart. */
  clientOf: (req: Request) => Promise<string | undefined>
  isAdmin: (req: Request) => boolean
  now?: Now
}

export function createUpstreamBudget({ clientOf, isAdmin, now = Date.now }: UpstreamBudgetParts) {
  const clients = createOwnLimits(upstreamPolicies.client, now)
  const networks = createOwnLimits(upstreamPolicies.network, now)
  const shared = createOwnLimit(upstreamPolicies.shared, now)
  const all = createOwnLimit(upstreamPolicies.all, now)

  /** What a client's reads count in. */
  function sharesOf(client: string | undefined): Share[] {
    if (client === undefined) return [shared]
    const network = networkOf(client)
    return [shareOf(clients, client), ...(network === undefined ? [] : [shareOf(networks, network)])]
  }

  /** All or none: who is refused has not used up what is his own, or what is his network's. */
  async function take(req: Request, cost: number): Promise<void> {
    if (isAdmin(req)) return
    const shares = sharesOf(await clientOf(req))
    if (!shares.every((share) => share.hasRoom(cost))) throw tooMany(RETRY_MS)
    if (!all.hit(cost)) throw sourcesBusy()
    for (const share of shares) share.hit(cost)
  }

  /** For one request: what misses together is counted together, as one list asks for many. */
  return function admitReads(req: Request): Admit {
    let batch: { cost: number; answer: Promise<void> } | undefined
    return function admit() {
      if (batch) batch.cost += 1
      else {
        const mine = { cost: 1, answer: Promise.resolve() }
        batch = mine
        mine.answer = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
          batch = undefined
          return take(req, mine.cost)
        })
      }
      return batch.answer
    }
  }
}

const shareOf = (limits: OwnLimits, who: string): Share => ({
  hasRoom: (cost) => limits.hasRoom(who, cost),
  hit: (cost) => limits.hit(who, cost),
})

/** The /48 of a client that is an IPv6 /64. */
const networkOf = (client: string) => /^address:((?:[0-9a-f]+:){3})[0-9a-f]+::\/64$/.exec(client)?.[1]
