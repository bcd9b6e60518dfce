// What the state role is to the rest of the app, and what it needs to be opened.
import type { RedisTarget } from '../../lib/redis-url.ts'
import type { Log } from '../../log.ts'
import type { DataLock } from '../data-lock.ts'
import type { RoleStatus } from '../store/failover.ts'
import type { createJournal } from './journal.ts'
import type { Outages } from './outages.ts'
import type { createRedisStateStore } from './redis-state-store.ts'
import type { State } from './state.ts'
import type { OnDisk } from './state-files.ts'
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
  status(): RoleStatus
  coverage(): 'full' | 'partial'
  /** What was written while Redis was away and is not in it yet. */
  pendingWrites(): number
  /** Reads what is on disk and begins to look for Redis. */
  start(clears: StateClears, parts: readonly OnDisk[], others?: readonly BesideState[]): void
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

/** What else lives in the state's Redis, over connections of its own, and has to be here while it is away. */
export interface BesideState {
  /** Redis is not asked any more. */
  left(): void
  /** Runs in each merge, after every key. May reject with StoreUnavailable, and is run again. */
  synchronize(returned: Return): Promise<void>
  /** Redis is asked again. */
  returned(): void
  /** How much Redis does not have yet. */
  pending(): number
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
