// A checker that cannot fail is worthless: five of the faults on a naive store, and what is found wrong with it.
import { type Outcome, runFault } from '../helpers/fault-world.ts'
import { faults } from '../helpers/faults.ts'
import { openNaive } from '../helpers/naive-subject.ts'

const SECONDS_MS = 2_000 // more than faults.test.ts allows

type Wrong = Extract<keyof Outcome, 'missing' | 'cameBack' | 'overLimit' | 'claimedTwice'>

test.each<[string, Wrong[]]>([
  ['killed (-9)', ['missing', 'cameBack', 'overLimit', 'claimedTwice']],
  ['came back empty', ['missing', 'overLimit', 'claimedTwice']],
  ['came back with an older snapshot', ['missing', 'cameBack', 'overLimit', 'claimedTwice']],
  ['app restarted while Redis stays down', ['missing', 'cameBack', 'overLimit', 'claimedTwice']],
])('naive: %s', async (name, wrong) => {
  const outcome = await runNaive(name)
  expect(wrong.filter((what) => outcome[what] === 0)).toEqual([])
})

test('naive: frozen 5 s', async () => {
  expect((await runNaive('frozen 5 s')).worstByLoopMs).toBeGreaterThan(SECONDS_MS)
})

async function runNaive(name: string): Promise<Outcome> {
  const fault = faults.find((one) => one.name === name)
  if (!fault) throw new Error(`there is no fault named ${name}`)
  const outcome = await runFault(fault, { open: openNaive })
  return outcome
}
