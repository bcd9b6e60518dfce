// How long calls took, beside two controls: /livez of the app, which asks no Redis, and a bare server in a container
// under the same limits. What the machine does to the controls at a moment, it does to the calls.
import type { Wrong } from './ledger.ts'

export interface Call {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
}

/** A call may take so many times what the slowest control around it took, and a few budgets of Redis (100 ms). */
const TIMES_LIVEZ = 4
const PLUS_MS = 700
/** And /livez, whose process has all the work of its turn to do, so many times a bare server's. */
const TIMES_BARE = 20
const LIVEZ_PLUS_MS = 2_000
const AROUND_MS = 500

const tookMs = ({ startMs, endMs }: Call) => endMs - startMs

/** The controls are in the order of their starts. */
export function judgeSlow(calls: readonly Call[], livez: readonly Call[], bare: readonly Call[]): Wrong[] {
  const slow = (call: Call, boundMs: number) => ({
    kind: 'too slow' as const,
    words: `${call.name}: ${tookMs(call)} ms, with a bound of ${boundMs} ms by what its control took`,
  })
  const beside = (call: Call, boundMs: number) => (tookMs(call) > boundMs ? [slow(call, boundMs)] : [])
  return [
    ...calls.flatMap((call) => beside(call, PLUS_MS + TIMES_LIVEZ * slowestAround(call, livez))),
    ...livez.flatMap((call) => beside(call, LIVEZ_PLUS_MS + TIMES_BARE * slowestAround(call, bare))),
  ]
}

function slowestAround(call: Call, controls: readonly Call[]): number {
  const [from, to] = [call.startMs - AROUND_MS, call.endMs + AROUND_MS]
  return controls
    .filter(({ startMs, endMs }) => startMs <= to && endMs >= from)
    .reduce((slowest, control) => Math.max(slowest, tookMs(control)), 0)
}
