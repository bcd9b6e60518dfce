// The limit on all changes. Features name limits of their own: windows of which all must allow, those that refuse most
// first. Every limit is at most 1,000: the log of a window holds that many entries.
import type { Rule } from '../../feature.ts'
import { HOUR, MINUTE } from '../../lib/time.ts'

export const policies = {
  /** Every change that is asked for under /api, unless its route names another policy. */
  api: [
    { name: 'api', per: 'client', limit: 120, windowMs: MINUTE, sharedLimit: 600 },
    { name: 'api-hour', per: 'client', limit: 1_000, windowMs: HOUR },
  ],
} as const satisfies Record<string, readonly Rule[]>
