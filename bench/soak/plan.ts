// Which fault comes when: decided by the seed alone, so that a run can be repeated. Faults come from a bag that holds
// each once, so that a run of some minutes has seen them all. Those that end the app come in the first 40 % of the run;
// what is left is one long life of its process, whose memory is judged.
import { createRandom } from '../../test/helpers/random.ts'
import type { Fault } from './fault.ts'

export interface Planned {
  readonly atMs: number
  readonly fault: Fault
}

export interface PlanOptions {
  readonly seed: number
  readonly minutes: number
  readonly faults: readonly Fault[]
}

const FIRST_MS = 12_000
const LAST_MS = 25_000
const SHARE_WITH_ENDS = 0.4
/** The guard ends a container whose app was restarted more than three times in 120 s. */
const BETWEEN_ENDS_MS = 45_000

/** `atMs` from the start of the run; a fault whose predecessor takes longer begins when that has ended. */
export function planFaults({ seed, minutes, faults }: PlanOptions): Planned[] {
  const random = createRandom(seed)
  const endMs = minutes * 60_000
  // Where there is nothing else, they may come at any time.
  const endsTillMs = faults.every(({ endsApp }) => endsApp) ? endMs : endMs * SHARE_WITH_ENDS
  const planned: Planned[] = []
  let bag: Fault[] = []
  let lastEndMs = Number.NEGATIVE_INFINITY
  for (let atMs = FIRST_MS; atMs < endMs - LAST_MS; atMs += gapMs(random.below(100), random.below(15_000))) {
    const mayEnd = atMs < endsTillMs && atMs - lastEndMs >= BETWEEN_ENDS_MS
    if (bag.filter(({ endsApp }) => mayEnd || !endsApp).length === 0) bag = [...bag, ...faults]
    const possible = bag.filter(({ endsApp }) => mayEnd || !endsApp)
    if (possible.length === 0) continue
    const fault = random.pick(possible)
    bag.splice(bag.indexOf(fault), 1)
    if (fault.endsApp) lastEndMs = atMs
    planned.push({ atMs, fault })
  }
  return planned
}

/** A third of them follow at the heels of the one before, while Redis is still on its way back. */
const gapMs = (dice: number, extraMs: number) => (dice < 33 ? 4_000 : 12_000 + extraMs)
