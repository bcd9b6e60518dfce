// What the state role is to the rest of core, and what it needs to be opened.
import type { RedisTarget } from '../../lib/redis-url.ts'
import type { Log } from '../../log.ts'
import type { DamageLog } from '../damage-log.ts'
import type { DataLock } from '../data-lock.ts'
import type { Installation } from '../files/installation.ts'
import type { FindKind } from '../keys.ts'
import type { Outages } from '../outages.ts'
import type { Participant } from '../participant.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { Failover, RoleStatus } from '../redis/failover.ts'
import type { createJournal } from './disk/journal.ts'
import type { createRedisStateStore } from './redis-state-store.ts'
import type { State } from './state.ts'
import type { StateCounters } from './state-counters.ts'

export interface StateRole {
  readonly state: State
  readonly counters: StateCounters
  readonly outages: Outages
  /** What could not be decoded. */
  readonly damage: DamageLog
  /** Its Redis, for keys that are not the role's; undefined: switched off. */
  readonly redis: StateRedis | undefined
  /** What the role itself keeps through an outage. */
  readonly own: readonly Participant[]
  status(): RoleStatus
  onStatus: Failover['onStatus']
  coverage(): 'full' | 'partial'
  /** Somebody else has waited too long for this Redis: the role asks it something, and judges it by that. */
  suspect(): void
  /** Takes up what is on disk and begins to look for Redis: for all of these, the role's own among them. */
  start(participants: Participant): void
  close(): void
}

/** The role's Redis, for keys that are not the role's. */
export type StateRedis = Pick<Failover, 'attempt' | 'isRedis'> & Pick<RedisConnection, 'call'>

export interface StateRoleOptions {
  /** Undefined: Redis is switched off. */
  target: RedisTarget | undefined
  ca: string | undefined
  budgetMs: number
  prefix: string
  kindOf: FindKind
  hasHeartbeat: boolean
  /** Of a service, rather than one that starts beside us. */
  isExternal: boolean
  /** Whether other processes write to this Redis. */
  isShared: boolean
  memoryBudgetBytes: number
  /** Undefined: nothing is on disk. */
  dataDir: string | undefined
  installation: Installation
  /** Facts that are kept in samovar.db as well. */
  facts?: Readonly<Record<string, string>> | undefined
  dataLock: DataLock
  /** Of the image; undefined outside of it. */
  runDir: string | undefined
  log: Log
  parts?: StateParts
}

/** What the role is made of, where it can be broken: the model-based test plants its bugs here. */
export interface StateParts {
  readonly createJournal: typeof createJournal
  readonly createRedisStateStore: typeof createRedisStateStore
}
