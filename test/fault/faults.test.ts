// Every way in which Redis breaks, under traffic: no call fails, none waits, nothing acknowledged is lost, and nothing
// that was destroyed or cleared comes back. The rows are in helpers/faults.ts, what is counted in helpers/traffic.ts.
// The app is one process, as by default; for some rows again one of two, which takes other paths (it compares in
// Redis, asks before it answers, writes nothing back).

import { openSamovarApart } from '../helpers/apart.ts'
import { BUDGET_MS, type Fault, type Outcome, runFault } from '../helpers/fault-world.ts'
import { faults } from '../helpers/faults.ts'
import { openSamovar } from '../helpers/samovar-subject.ts'

// By the loop's clock, and generous still: a call may send several commands. Who waits for Redis to come back waits a
// second and a half at least.
const WORST_MS = 8 * BUDGET_MS
// A process of its own gets its share of the processor apart from this thread, whose turns say nothing of it.
const WORST_APART_MS = 20 * BUDGET_MS
// In units of loop-clock.ts. Healthy rows have up to 120, and one that writes all it can up to 600.
const LONGEST_TURN = 1_000

const ALSO_ONE_OF_TWO = [
  'killed (-9)',
  'frozen 5 s',
  'slow by 300 ms',
  'maxmemory reached, cache role',
  'came back empty',
  'came back with an older snapshot',
  'cache came back with a snapshot from before a clear',
  'app killed (-9) during the outage',
  'emptied while it runs (FLUSHALL)',
]
const oneOfTwo = ALSO_ONE_OF_TWO.map((name): Fault => {
  const fault = faults.find((row) => row.name === name)
  if (!fault) throw new Error(`there is no fault named ${name}`)
  return { ...fault, name: `${name}, one of two processes`, workers: 2 }
})

function expectHarmless(fault: Fault, outcome: Outcome): void {
  const { failed, missing, cameBack, overLimit, claimedTwice, refused } = outcome
  const found = { failed, missing, cameBack, overLimit, claimedTwice, refused }
  for (const what of Object.keys(fault.permits ?? {})) delete found[what as keyof typeof found]
  const harmless = Object.fromEntries(Object.keys(found).map((what) => [what, 0]))
  expect({ ...found, examples: fault.permits ? [] : outcome.examples }).toEqual({ ...harmless, examples: [] })
}

test.each([...faults, ...oneOfTwo])('$name', async (fault) => {
  const outcome = await runFault(fault, { open: openSamovar, openApart: openSamovarApart })
  expectHarmless(fault, outcome)
  expect(outcome.backMs).toBeDefined()
  expect(outcome.worstByLoopMs).toBeLessThan(fault.needs ? WORST_APART_MS : WORST_MS)
  expect(outcome.longestTurn).toBeLessThan(LONGEST_TURN)
  if (fault.permits?.refused) expect(outcome.refused).toBeGreaterThan(0)
  // A machine busy elsewhere can make a slow Redis too slow for a moment, but not for long.
  if (fault.stays) expect(outcome.msIn.memory).toBeLessThan(outcome.msIn.redis)
  else expect(outcome.msIn.memory).toBeGreaterThan(0)
})
