// What operators read of a role's failover (docs/operating.md).
import { MINUTE, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Failure } from './failover-state.ts'
import { hintFor } from './refusals.ts'

export interface EndedOutage {
  readonly merged: Readonly<Record<string, number>>
  readonly conflicts: readonly string[]
}

export interface FailoverLog {
  unavailable(failure: Failure): void
  /** For the first time, without an outage before. */
  connected(): void
  recovered(outage: EndedOutage | undefined, tookMs: number): void
  /** Redis was silent, and then answered: a line for the first of some minutes. */
  blip(blip: { tookMs: number; servedCalls: number; blips: number }): void
  /** An unexpected error of ours, with its stack. */
  bug(error: unknown, during: string): void
}

const BLIP_LINES_MS = 10 * MINUTE

export function createFailoverLog(role: 'cache' | 'state', log: Log): FailoverLog {
  const name = role === 'cache' ? 'cache (кэш)' : 'state'
  let blipLineAtMs = Number.NEGATIVE_INFINITY
  return {
    unavailable({ reason, message }) {
      const what = reason === 'bug' ? 'Redis is not used' : 'Redis unavailable'
      // Most refusals wait for an operator: a password, a quota, a full server.
      const level = reason === 'refused' || reason === 'bug' ? 'error' : 'warn'
      const hint = hintFor(message)
      log[level](
        { role, reason },
        `${what}: ${message}. The ${name} is served from memory until Redis is back${hint ? `. To do: ${hint}` : ''}`,
      )
    },
    connected: () => log.info({ role }, `Redis connected: it holds the ${name}`),
    recovered(outage, tookMs) {
      const { merged = {}, conflicts = [] } = outage ?? {}
      const entries = Object.values(merged).reduce((sum, count) => sum + count, 0)
      const merge = `${entries} entries merged, ${conflicts.length} conflicts`
      const took = `${(tookMs / SECOND).toFixed(1)} s`
      log.info({ role, outage }, `Redis recovered: the ${name} failed back to Redis after ${took} (${merge})`)
    },
    blip({ tookMs, servedCalls, blips }) {
      if (performance.now() - blipLineAtMs < BLIP_LINES_MS) return
      blipLineAtMs = performance.now()
      log.info(
        { role, blips, servedCalls },
        `Redis was silent for ${Math.round(tookMs)} ms and then answered: a blip, no outage. The ${name} was served ` +
          'from memory. If stats count many, the host is short of CPU, or REDIS_BUDGET_MS is too low for the network',
      )
    },
    bug: (error, during) =>
      log.error({ role, err: error }, `unexpected error during '${during}' (please report it)`),
  }
}
