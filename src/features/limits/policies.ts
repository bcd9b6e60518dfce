// The limits, as one table. A policy is one or more windows, all of which must allow; those that refuse most come first.
// Every limit is at most 1,000: the log of a window holds that many entries.
import type { Policy } from '../../core/limiter.ts'
import { HOUR, MINUTE } from '../../lib/time.ts'

/** One window of a policy, and for whom hits are counted together. */
export type Rule = Policy & (ForEach | ForAll)

interface ForEach {
  /** `client`: the user, else the session, else the address. `address`: always the address, which logging out does not change. */
  readonly per: 'client' | 'address'
  /** For all together who are known by an address that many share; without it the rule does not hold for them. */
  readonly sharedLimit?: number
}

interface ForAll {
  readonly per: 'everybody'
}

export const policies = {
  /** Every change that is asked for under /api, unless its route names another policy. */
  api: [
    { name: 'api', per: 'client', limit: 120, windowMs: MINUTE, sharedLimit: 600 },
    { name: 'api-hour', per: 'client', limit: 1_000, windowMs: HOUR },
  ],
  /** By address, because a new session costs nothing. Mobile networks put many phones behind one, and a login may be two requests. */
  login: [{ name: 'login', per: 'address', limit: 60, windowMs: 15 * MINUTE, sharedLimit: 600 }],
  /** Deliveries that are signed. What is not counts apart, so that nobody can use up the senders' share. */
  webhooks: [{ name: 'webhooks', per: 'address', limit: 600, windowMs: MINUTE, sharedLimit: 600 }],
  unsigned: [{ name: 'unsigned', per: 'address', limit: 60, windowMs: MINUTE, sharedLimit: 600 }],
  /** Links of calls, each of which lets people in for a day. */
  calls: [{ name: 'calls', per: 'client', limit: 60, windowMs: HOUR, sharedLimit: 600 }],
  /** How often a WebSocket may be opened: a page that lost its network for a while opens a few a minute. */
  sockets: [{ name: 'sockets', per: 'client', limit: 300, windowMs: MINUTE, sharedLimit: 1_000 }],
  /** Without a token anybody may clear the cache, as runbooks do; so all together may do it this often. */
  clears: [{ name: 'cache-clear', per: 'everybody', limit: 6, windowMs: MINUTE }],
} as const satisfies Record<string, readonly Rule[]>
