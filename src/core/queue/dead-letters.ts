// Dead letters, wherever they are: in Redis, or here, where Redis does not have them yet. One that is run again keeps
// its id; its retries are counted in the state role (job-marks.ts), so that they go through an outage, as jobs do.
import type { DrainGate } from '../../lib/async/drain-gate.ts'
import type { Now } from '../../lib/time.ts'
import { RedisUnavailable } from '../errors.ts'
import type { BullQueue } from './bull-queue.ts'
import type { JobRuns } from './job-runs.ts'
import { keyOf, type Outbox } from './outbox.ts'
import type { DeadLetter, DeadLetters } from './queue.ts'

export interface DeadLettersParts {
  outbox: Outbox
  runs: Pick<JobRuns, 'runAgain'>
  /** Undefined while BullMQ does not work. */
  bull: () => BullQueue | undefined
  /** False: Redis is switched off. */
  hasRedis: boolean
  changes: Pick<DrainGate, 'pass'>
  now: Now
}

export function createDeadLetters({
  outbox,
  runs,
  bull,
  hasRedis,
  changes,
  now,
}: DeadLettersParts): DeadLetters {
  const here = (): DeadLetter[] =>
    outbox
      .jobs()
      .flatMap(({ name, id, place, reason = '', dueAtMs }) =>
        place === 'dead' ? [{ name, id, reason, failedAtMs: dueAtMs }] : [],
      )

  /** Undefined while it cannot be read. */
  async function inRedis(): Promise<DeadLetter[] | undefined> {
    try {
      return await bull()?.deadLetters()
    } catch (error) {
      if (error instanceof RedisUnavailable) return undefined
      throw error
    }
  }

  async function retry(ref: Parameters<DeadLetters['retry']>[0]) {
    const known = outbox.get(ref)
    if (known?.place === 'here') return 'not-dead'
    if (known?.place === 'dead') {
      await runs.runAgain(ref)
      const { reason: _gone, ...job } = known
      outbox.put({ ...job, failed: 0, dueAtMs: now(), addedAtMs: now(), place: 'here' })
      return 'retried'
    }
    if (!hasRedis) return 'unknown'
    const redis = bull()
    if (!redis) throw new RedisUnavailable('lost', 'Redis has the dead letters, and is away')
    const found = await redis.findDead(ref)
    if (typeof found === 'string') return found
    await runs.runAgain(ref)
    const outcome = await found.retry()
    if (outcome === 'retried') outbox.put(found.job) // the copy that a Redis which loses its data gets
    return outcome
  }

  return {
    async list() {
      const [own, others] = [here(), await inRedis()]
      const letters = new Map([...(others ?? []), ...own].map((letter) => [keyOf(letter), letter]))
      const newest = [...letters.values()].sort((a, b) => (b.failedAtMs ?? 0) - (a.failedAtMs ?? 0))
      return { letters: newest, isComplete: others !== undefined || !hasRedis }
    },
    retry: (ref) => changes.pass(() => retry(ref)),
  }
}
