// Whether Redis is asked: the one place that knows what a failure of it means. One for each role.
//
// redis    Redis is asked. A lost connection, a refusal, or silence over the budget → memory, for all callers at
//          once; so do overruns of more than half of a second's commands on a connection that is alive.
//          A request that has waited for a whole budget in all is answered from memory, which says nothing of Redis.
// memory   Redis is not asked, so nothing waits for it. A probe (connect anew if need be; write, read back, delete)
//          runs with back-off; two good ones in a row → merging.
// merging  What happened meanwhile is played into Redis (Merge), until nothing is pending. Then → redis; a failure → memory.

import { createBackoff } from '../../lib/backoff.ts'
import { hasTimeLeft, withoutDeadline } from '../../lib/request-deadline.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { RedisUnavailable } from '../errors.ts'
import { createOverruns } from './circuit-breaker.ts'
import type { RedisConnection } from './connection.ts'
import { probeRedis } from './probe.ts'

export type Status = 'redis' | 'memory' | 'merging'

export interface RoleStatus {
  readonly status: Status
  /** When `status` began; ms since the epoch. */
  readonly sinceMs: number
  /** Outages since the start, and calls that memory answered in them. */
  readonly activations: number
  readonly servedCalls: number
  readonly lastError: string | null
}

/** The status of a role whose Redis is switched off. */
export function switchedOff(sinceMs: number): RoleStatus {
  return { status: 'memory', sinceMs, activations: 0, servedCalls: 0, lastError: null }
}

export interface Failover {
  /** Asks Redis while it answers, memory while it does not. Errors other than RedisUnavailable pass through. */
  attempt<T>(onRedis: () => Promise<T>, onMemory: () => T | Promise<T>): Promise<T>
  isRedis(): boolean
  status(): RoleStatus
  /** Begins to look for Redis; each time it is found, `merge` runs before it is asked again. */
  start(merge: Merge): void
  close(): void
}

/** What happened while Redis was away, and how it gets there. */
export interface Merge {
  /**
   * Plays it into Redis, which was left at `awaySinceMs`; runs at least once on each return. May reject with
   * RedisUnavailable, and is run again.
   */
  run(awaySinceMs: number): Promise<void>
  /** Whether more has happened since `run` began. */
  isPending(): boolean
}

export interface FailoverEvents {
  /** Redis is not asked any more, before any call is answered from memory for that reason. */
  left(): void
  /** An outage is one by now: at once when Redis was there before, a few seconds after the start when it never was. */
  outageBegan(cause: string, atMs: number, servedCalls: () => number): void
  /** Redis is asked again; `servedCalls` were answered from memory meanwhile. What there is to say of the outage. */
  returned(servedCalls: number, atMs: number): object | undefined
}

export interface FailoverOptions {
  role: 'cache' | 'state'
  connection: RedisConnection
  probeKey: string
  /** Whether Redis is asked a few times a second although nobody else does, so that its loss is noticed at once. */
  hasHeartbeat: boolean
  events: FailoverEvents
  log: Log
  now?: Now
}

const PROBE = { firstMs: 50, capMs: SECOND }
const HEARTBEAT_MS = 250
const START_GRACE_MS = 3 * SECOND // a Redis that starts beside us is awaited this long before it counts as an outage

export function createFailover({
  role,
  connection,
  probeKey,
  hasHeartbeat,
  events,
  log,
  now = Date.now,
}: FailoverOptions): Failover {
  let status: Status = 'memory'
  let sinceMs = now()
  let activations = 0
  let servedCalls = 0
  let servedBefore = 0
  let lastError: string | null = null
  let announced = false // this outage has its line in the log
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let startedAtMs = now()
  let awaySinceMs = now()
  let merge: Merge = { isPending: () => false, run: async () => {} }
  const overruns = createOverruns(now)
  const backoff = createBackoff(PROBE)

  const heartbeat = hasHeartbeat
    ? setInterval(() => void inBackground(beat(), log), HEARTBEAT_MS).unref()
    : undefined

  connection.onLost(leave)

  async function beat(): Promise<void> {
    if (status !== 'redis') return
    try {
      await connection.call((client) => client.ping())
      overruns.answered()
    } catch (error) {
      failed(error)
    }
  }

  /** Leaves Redis if this failure says so; throws what is not a failure of Redis. */
  function failed(error: unknown): void {
    if (!(error instanceof RedisUnavailable)) throw error
    if (error.reason === 'deadline') return
    // What this begins goes on when the request that noticed it has ended.
    if (error.reason !== 'slow' || overruns.overran()) withoutDeadline(() => leave(error))
    if (error.reason === 'silent') connection.drop()
  }

  function leave(cause: RedisUnavailable): void {
    lastError = cause.message
    if (status === 'memory' || closed) return
    const wasMerging = status === 'merging'
    enter('memory')
    if (!wasMerging) {
      awaySinceMs = now()
      events.left()
      announce(cause)
    }
    backoff.reset()
    schedule(() => probe(0))
  }

  function answered<T>(answer: T): T {
    overruns.answered()
    return answer
  }

  function enter(next: Status): void {
    status = next
    sinceMs = now()
  }

  function announce(cause: RedisUnavailable): void {
    announced = true
    activations += 1
    servedBefore = servedCalls
    events.outageBegan(`${cause.reason}: ${cause.message}`, awaySinceMs, () => servedCalls - servedBefore)
    // Most refusals wait for an operator: a password, a quota, a full server, or a bug of ours.
    log[cause.reason === 'refused' ? 'error' : 'warn'](
      { role, reason: cause.reason },
      `Redis unavailable: ${cause.message}. The ${named(role)} goes on in memory`,
    )
  }

  function schedule(step: () => Promise<void>): void {
    clearTimeout(timer)
    if (!closed) timer = setTimeout(step, backoff.nextMs()).unref()
  }

  async function probe(good: number): Promise<void> {
    try {
      if (good === 0) await connection.open()
      await probeRedis(connection, probeKey)
      if (closed) return connection.drop()
      if (good === 0) return schedule(() => probe(1))
      enter('merging')
      do await merge.run(awaySinceMs)
      while (merge.isPending())
      if (status === 'merging') recovered()
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) log.error({ role, err: error }, 'merging into Redis failed')
      const cause = error instanceof RedisUnavailable ? error : new RedisUnavailable('lost', String(error))
      lastError = cause.message
      connection.drop()
      if (closed) return
      if (status !== 'memory') enter('memory')
      if (!announced && now() - startedAtMs >= START_GRACE_MS) announce(cause)
      schedule(() => probe(0))
    }
  }

  function recovered(): void {
    enter('redis')
    overruns.reset()
    backoff.reset()
    lastError = null
    const outage = events.returned(servedCalls - servedBefore, now())
    if (announced) log.info({ role, outage }, `Redis recovered: the ${named(role)} is in Redis again`)
    else log.info({ role }, `Redis connected: it holds the ${named(role)}`)
    announced = false
  }

  return {
    attempt(onRedis, onMemory) {
      const inMemory = async () => {
        servedCalls += 1
        return onMemory()
      }
      if (status !== 'redis' || !hasTimeLeft()) return inMemory()
      return onRedis().then(answered, (error) => {
        failed(error)
        return inMemory()
      })
    },
    isRedis: () => status === 'redis',
    status: () => ({ status, sinceMs, activations, servedCalls, lastError }),
    start(merging) {
      merge = merging
      startedAtMs = now()
      void probe(0)
    },
    close() {
      closed = true
      clearTimeout(timer)
      clearInterval(heartbeat)
      connection.close()
    },
  }
}

const named = (role: 'cache' | 'state') => (role === 'cache' ? 'cache (кэш)' : 'state')
