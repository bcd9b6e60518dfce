// Background jobs, put together: over Redis with the outbox beside it, or from the outbox alone.
import type { DrainGate } from '../../lib/async/drain-gate.ts'
import { type Now, SECOND, type StartTimer, startTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { keys, statePrefix } from '../keys.ts'
import { createOnce } from '../once.ts'
import type { Server } from '../redis/connection.ts'
import type { StateRole } from '../state/state-role.ts'
import { createFailoverQueue, type FailoverQueue } from './failover-queue.ts'
import { createJobMarks } from './job-marks.ts'
import { createJobRuns } from './job-runs.ts'
import { createMemoryQueue } from './memory-queue.ts'
import { createOutbox } from './outbox.ts'
import { createRelay } from './relay.ts'
import { createSchedules } from './schedules.ts'

export interface QueueOptions {
  redis: { state: Server['target'] | undefined; ca: string | undefined; budgetMs: number; prefix: string }
  state: Pick<StateRole, 'state' | 'redis' | 'suspect'>
  /** Closed while another container holds the data: then no job is added, and none is run. */
  changes: Pick<DrainGate, 'pass' | 'isOpen'>
  log: Log
  now?: Now
  timer?: StartTimer
  stuckMs?: number
}

export function openQueue(options: QueueOptions): FailoverQueue {
  const { redis, state, changes, log, now = Date.now, timer = startTimer, stuckMs = 30 * SECOND } = options
  const { state: target, ca, budgetMs } = redis
  const outbox = createOutbox(log)
  const schedules = createSchedules({
    state: state.state,
    add: (name, id, data) => queue.add(name, data, { id }),
    startsRuns: (name) => queue.startsRuns(name),
    knowsLastSlots: () => !target || queue.bull() !== undefined,
    log,
    now,
    timer,
  })
  const marks = createJobMarks(state.state)
  const runs = createJobRuns({ once: createOnce({ state: state.state, now }), marks, slots: schedules, log })
  const memory = createMemoryQueue({ outbox, runs, log, now, timer })
  let isEvicting = false // and the log has said so
  function onEvicting(policy: string): void {
    if (!isEvicting)
      log.warn(
        { policy },
        `this Redis evicts any key when it is full (maxmemory-policy ${policy}): sessions and jobs may be lost. Set ` +
          'noeviction, or volatile-lfu where it holds the cache (кэш) as well',
      )
    isEvicting = true
  }
  const queue = createFailoverQueue({
    open:
      target &&
      // Loaded with its library when there is a Redis to open it on: the first answers are out by then.
      (async (onLost) =>
        (await import('./bull-queue.ts')).openBullQueue({
          server: { target, ca },
          prefix: statePrefix(redis.prefix) + keys.queue,
          budgetMs,
          runs,
          stuckMs,
          onLost,
          onEvicting,
          onFinished: outbox.delete,
          slotId: schedules.slotId,
          log,
        })),
    outbox,
    memory,
    relay: createRelay({ outbox, memory, log, now }),
    runs,
    schedules,
    isRedis: () => state.redis?.isRedis() ?? false,
    // Any command will do: the state role judges its connection by it.
    probeRedis: state.suspect,
    changes,
    log,
    now,
  })
  return queue
}
