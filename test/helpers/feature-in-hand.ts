// A feature whose clock the test turns and whose jobs the test runs, instead of waiting for their schedule.
import type { Job, Setup } from '../../src/feature.ts'
import type { Installed } from '../../src/host/wiring.ts'
import { createClock } from './clock.ts'

export function takeInHand(features: readonly Installed[], name: string) {
  const clock = createClock(Date.now())
  const jobs = new Map<string, Job>()
  function setUp(feature: Installed, context: object, wiring: never): Setup {
    const setup = feature.setup({ ...context, now: clock.now } as never, wiring)
    for (const job of setup.jobs ?? []) jobs.set(job.name, job)
    return setup
  }
  const inHand = features.map((feature): Installed => {
    if (feature.name !== name) return feature
    return { ...feature, setup: (context: object, wiring) => setUp(feature, context, wiring as never) }
  })
  return {
    /** What `startApp` is given. */
    features: inHand,
    /** Moves the feature's clock on; the rest of the app keeps the real time. */
    turn: clock.turn,
    /** Runs a job of the feature once, now. */
    async run(jobName: string, data: unknown = null): Promise<void> {
      const job = jobs.get(jobName)
      if (!job)
        throw new Error(`${name} has no job "${jobName}", but ${[...jobs.keys()].join(', ') || 'none'}`)
      await job.run({ id: 'run-by-a-test', data, signal: new AbortController().signal } as never)
    },
  }
}
