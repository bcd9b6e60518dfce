// The other side of jobs-apart.ts: a process that has background jobs, and does as it is told.
import { Refusal } from '../../src/core/errors.ts'
import { pause } from '../../src/lib/time.ts'
import { timed } from './control-clock.ts'
import { openJobs, type TestJobs } from './jobs.ts'
import type { FromChild, ToChild } from './jobs-apart.ts'

const EFFECT_MS = 2

const send = (message: FromChild) => process.send?.(message)
const jobs = await openJobs(JSON.parse(process.argv[2] ?? ''))

const does: Record<ToChild['does'], (jobs: TestJobs, given: ToChild['given']) => unknown> = {
  /** How long the call took, in ms of the control clock. */
  async add({ queue }, { name = '', id = '', delayMs = 0 }) {
    return (await timed(() => queue.add(name, null, { id, delayMs }))).tookMs
  },
  work({ queue }, { name = '', concurrency = 1 }) {
    const handler = async ({ id }: { id: string }) => {
      await pause(EFFECT_MS)
      send({ effect: id })
    }
    queue.work(name, handler, { concurrency })
  },
  counts: ({ queue }) => queue.counts(),
  pendingWrites: ({ pendingWrites }) => pendingWrites(),
  hasRedis: ({ queue }) => queue.bull() !== undefined,
}

process.on('message', async ({ number, does: what, given }: ToChild) => {
  try {
    send({ number, answer: await does[what](jobs, given) })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    send({ number, refusal: error.code })
  }
})
process.on('disconnect', () => process.exit())
send({ number: 0, answer: 'open' })
