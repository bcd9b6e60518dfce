// How long calls took, beside two controls: /livez of the app, which asks no Redis, and a bare server in a container
// under the same limits. What the machine does to the controls at a moment, it does to the calls.
import type { Wrong } from './ledger.ts'

export interface Call {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
}

interface Bound {
  /** A call may take so many times what the slowest control around it took, */
  readonly times: number
  /** and so much more. */
  readonly plusMs: number
}

/** Of calls, beside /livez: several turns of the process, and a few budgets of Redis (100 ms). */
export const BESIDE_LIVEZ: Bound = { times: 6, plusMs: 1_000 }
/** Of /livez, beside the bare server: its process has all the work of its turn to do. */
export const BESIDE_BARE: Bound = { times: 20, plusMs: 3_000 }
const AROUND_MS = 500

const tookMs = ({ startMs, endMs }: Call) => endMs - startMs

export function judgeSlow(
  calls: readonly Call[],
  controls: readonly Call[],
  { times, plusMs }: Bound,
): Wrong[] {
  return calls.flatMap((call) => {
    const boundMs = plusMs + times * slowestAround(call, controls)
    if (tookMs(call) <= boundMs) return []
    const words = `${call.name}: ${tookMs(call)} ms, with a bound of ${boundMs} ms by what its control took`
    return [{ kind: 'too slow' as const, words }]
  })
}

function slowestAround(call: Call, controls: readonly Call[]): number {
  const [from, to] = [call.startMs - AROUND_MS, call.endMs + AROUND_MS]
  return controls
    .filter(({ startMs, endMs }) => startMs <= to && endMs >= from)
    .reduce((slowest, control) => Math.max(slowest, tookMs(control)), 0)
}
