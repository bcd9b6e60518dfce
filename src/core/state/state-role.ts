// What the state role is to the rest of the app, and what it needs to be opened.
import type { RedisTarget } from '../../lib/redis-url.ts'
import type { Log } from '../../log.ts'
import type { DataLock } from '../data-lock.ts'
import type { Outages } from '../outages.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { Failover, RoleStatus } from '../redis/failover.ts'
import type { createJournal } from './disk/journal.ts'
import type { OnDisk } from './disk/state-files.ts'
import type { createRedisStateStore } from './redis-state-store.ts'
import type { State } from './state.ts'
import type { Return } from './state-merge.ts'
import type { StateStore } from './state-store.ts'

type Numbers = Pick<StateStore, 'raise' | 'generations'>

/** The numbers of the cache's clears: through the failover, and Redis' own. */
export interface StateNumbers {
  readonly store: Numbers
  readonly redis: Numbers
  isRedis(): boolean
  isTracked(): boolean
  /** Whether a number was raised since the last call that Redis does not have, or may not have. */
  takeRaisedAway(): boolean
}

export interface StateRole {
  readonly state: State
  readonly numbers: StateNumbers
  readonly outages: Outages
  /** Its Redis, for a guest; undefined: switched off. */
  readonly redis: StateRedis | undefined
  status(): RoleStatus
  coverage(): 'full' | 'partial'
  /** What was written while Redis was away and is not in it yet. */
  pendingWrites(): number
  /** Reads what is on disk and begins to look for Redis. */
  start(clears: StateClears, parts: readonly OnDisk[], guests: readonly StateGuest[]): void
  close(): void
}

/** What the state role asks of the cache's clears. */
export interface StateClears {
  /** Runs in each merge, before any key: clears first. */
  synchronize(): Promise<void>
  isPending(): boolean
  /** Another process has raised a number. */
  refresh(): Promise<void>
}

/** The role's Redis, for keys that are not the role's. */
export type StateRedis = Pick<Failover, 'attempt' | 'isRedis'> & Pick<RedisConnection, 'call'>

/** Who keeps keys of his own in the role's Redis, and merges them himself. */
export interface StateGuest {
  /** Redis is not asked any more. */
  left(): void
  /**
   * Runs in each merge, after the keys of the role; and while Redis is asked, when something must be in it: then what Redis
   * turned out to be is not said. May reject with RedisUnavailable, and is run again.
   */
  synchronize(returned?: Return): Promise<void>
  /** Whether something must be in Redis before it counts as returned. */
  isPending(): boolean
  /** How much Redis does not have yet. */
  pending(): number
  /** Redis is asked again. */
  returned(): void
}

export interface StateRoleOptions {
  /** Undefined: Redis is switched off. */
  target: RedisTarget | undefined
  ca: string | undefined
  budgetMs: number
  prefix: string
  hasHeartbeat: boolean
  /** Whether other processes write to this Redis. */
  isShared: boolean
  memoryBudgetBytes: number
  dataDir: string
  dataLock: DataLock
  log: Log
  parts?: StateParts
}

/** What the role is made of, where it can be broken: the model-based test plants its bugs here. */
export interface StateParts {
  readonly createJournal: typeof createJournal
  readonly createRedisStateStore: typeof createRedisStateStore
}
