// The state role, opened: Redis, the standby, the journal and their files, in the variant the configuration names.

import { randomUUID } from 'node:crypto'
import { SECOND } from '../../lib/time.ts'
import { inBackground } from '../background.ts'
import { keys, kindOf } from '../keys.ts'
import { createOutages } from '../outages.ts'
import { connectRedis } from '../redis/connection.ts'
import { createFailover, switchedOff } from '../redis/failover.ts'
import { createChanges } from './change-feed.ts'
import { createState } from './create-state.ts'
import { committing, createDiskCopy } from './disk/disk-copy.ts'
import { createJournal } from './disk/journal.ts'
import { createMetadata } from './disk/metadata.ts'
import { type OnDisk, openStateFiles, type StateFiles } from './disk/state-files.ts'
import { createFailoverStateStore } from './failover-state-store.ts'
import { createHybridClock } from './kinds/timestamps.ts'
import type { VersionedEntry } from './kinds/versioned-entry.ts'
import { createRecentWrites } from './recent-writes.ts'
import { createRedisStateStore } from './redis-state-store.ts'
import { createStandby, type Standby } from './standby.ts'
import { createStateMerge, type MergeReport } from './state-merge.ts'
import type { StateClears, StateGuest, StateRole, StateRoleOptions } from './state-role.ts'

const RECENT_MS = 3 * SECOND
const TICK_MS = SECOND
const MOST_FOREIGN = 100 // keys of another type that are told of

export function openState(options: StateRoleOptions): StateRole {
  const { target, ca, budgetMs, prefix, hasHeartbeat, isShared, memoryBudgetBytes, log } = options
  const { parts = { createJournal, createRedisStateStore } } = options
  const hybridClock = createHybridClock()
  const metadata = createMetadata()
  const journal = parts.createJournal()
  const outages = createOutages()
  const copy = createDiskCopy(() => standby)
  const standby = createStandby({ budgetBytes: memoryBudgetBytes, hybridClock, changed: copy.changed })
  let files: StateFiles | undefined
  const openFiles = (others: readonly OnDisk[]) => {
    files = openStateFiles({ ...options, standby, parts: [journal, metadata, outages, copy, ...others] })
  }
  const closeFiles = () => {
    copy.close()
    files?.close()
  }
  const shared = { outages, coverage: standby.coverage }

  if (!target) {
    const status = switchedOff(Date.now())
    return {
      ...shared,
      redis: undefined,
      state: createState({ store: committing(standby, copy.committed), hybridClock, known: standby.keys }),
      numbers: {
        store: standby,
        redis: standby,
        isRedis: () => false,
        isTracked: () => false,
        takeRaisedAway: () => false,
      },
      status: () => status,
      pendingWrites: () => 0,
      coverage: () => 'full',
      start(_clears, parts) {
        openFiles(parts)
        const none = { servedCalls: 0, merged: {}, accepted: [], conflicts: [], lost: 0 }
        const end = { ...none, note: 'Redis was switched off' }
        for (const role of ['cache', 'state'] as const) outages.ended(role, end, Date.now())
        log.info(
          'Redis is switched off (REDIS_URL=off): cache (кэш) and state are in memory, state with a copy on disk',
        )
      },
      close: closeFiles,
    }
  }

  const connection = connectRedis({ target, ca, budgetMs, trackPrefix: prefix })
  const foreign = new Set<string>()
  const redis = parts.createRedisStateStore({
    connection,
    prefix,
    isShared,
    known: standby.kept,
    foreign(key) {
      if (foreign.has(key) || foreign.size === MOST_FOREIGN) return
      foreign.add(key)
      log.error(
        { key },
        'Redis has a value of another type under a key of the state: not ours, and replaced by the next write',
      )
    },
  })
  // By a steady clock: a step of the wall clock must not make these writes old.
  const recent = createRecentWrites(RECENT_MS, () => performance.now())
  const merge = createStateMerge({ redis, standby, journal, isShared, metadata, log })
  const failover = createFailover({
    role: 'state',
    connection,
    probeKey: `${prefix}probe:${randomUUID()}`,
    hasHeartbeat,
    events: {
      left() {
        journal.putAll(recent.keys().flatMap((key) => entryOf(standby, key)))
        copy.flush()
        for (const guest of guests) guest.left()
      },
      outageBegan: (cause, atMs, served) => outages.began('state', cause, atMs, served),
      returned(servedCalls, atMs) {
        const { returned, removed, ...report } = merge.takeReport()
        const note = noteOf({ returned, removed, isShared })
        void inBackground(fill(), log)
        for (const guest of guests) guest.returned()
        return outages.ended('state', { servedCalls, ...report, lost: files?.unreadable() ?? 0, note }, atMs)
      },
    },
    log,
  })
  const written = (key: string) => {
    recent.add(key)
    merge.wrote()
  }
  let hasRaisedAway = false
  const raisedAway = () => {
    hasRaisedAway = true
  }
  const { life, expectSameLife } = merge
  const changes = createChanges({ redis, standby, journal, life, expectSameLife })
  const store = createFailoverStateStore({
    redis,
    standby,
    journal,
    failover,
    // Where nobody else writes as a rule, a read need not ask; and who writes all the same is told of.
    isKnown: (key) => !isShared && connection.isTracked() && standby.isFilled() && !changes.has(key),
    life,
    expectSameLife,
    written,
    raisedAway,
  })
  async function expectKnownLife(): Promise<void> {
    if (failover.isRedis())
      await failover.attempt(
        () => expectSameLife(life()),
        () => {},
      )
  }
  let clears: StateClears | undefined
  let guests: readonly StateGuest[] = []

  // Redis may be too slow for a page of it without going away: the rest is owed.
  let isFillOwed = false
  let couldFill = false
  async function fill(): Promise<void> {
    isFillOwed = false
    try {
      await merge.fill()
    } catch (error) {
      isFillOwed = true
      throw error
    }
  }
  /** When it is owed, and once each time that there is room again for what did not fit. */
  function isFillDue(): boolean {
    const could = couldFill
    couldFill = standby.couldFill()
    return isFillOwed || (couldFill && !could && standby.isFilled())
  }

  // What Redis was too slow for is merged while it answers; what others wrote is copied.
  async function tick(): Promise<void> {
    if (!failover.isRedis()) return
    if (clears?.isPending()) await clears.synchronize()
    await merge.settle()
    for (const guest of guests) if (guest.isPending()) await guest.synchronize()
    await failover.attempt(merge.tick, () => {})
    await failover.attempt(changes.follow, () => {})
    if (isFillDue()) await fill()
  }
  const timer = setInterval(() => void inBackground(tick(), log), TICK_MS).unref()

  return {
    ...shared,
    redis: { call: connection.call, attempt: failover.attempt, isRedis: failover.isRedis },
    state: createState({ store: committing(store, copy.committed), hybridClock, known: standby.keys }),
    numbers: {
      store,
      redis,
      isRedis: failover.isRedis,
      isTracked: connection.isTracked,
      takeRaisedAway() {
        const taken = hasRaisedAway
        hasRaisedAway = false
        return taken
      },
    },
    status: failover.status,
    pendingWrites: () => journal.size() + guests.reduce((total, guest) => total + guest.pending(), 0),
    start(given, parts, others) {
      clears = given
      guests = others
      openFiles(parts)
      connection.onInvalidate((key) => {
        if (key === keys.generations || key === undefined) void inBackground(given.refresh(), log)
        // Emptied, or begun anew by another process, which found it older than it should be.
        if (key === undefined || key === keys.epoch) void inBackground(expectKnownLife(), log)
        // Who shares nothing needs no news of limits, which are never read; our own scripts would be most of it.
        else if (isShared || kindOf(key) !== 'log') changes.note(key)
      })
      failover.start({
        isPending: () => given.isPending() || merge.isPending() || guests.some((guest) => guest.isPending()),
        async run(awaySinceMs) {
          await given.synchronize()
          const returned = await merge.run(awaySinceMs)
          for (const guest of guests) await guest.synchronize(returned)
        },
      })
    },
    close() {
      clearInterval(timer)
      failover.close()
      closeFiles()
    },
  }
}

function entryOf(standby: Standby, key: string): [string, VersionedEntry][] {
  const version = standby.kept(key)
  return version ? [[key, version]] : []
}

function noteOf({
  returned,
  removed,
  isShared,
}: Pick<MergeReport, 'returned' | 'removed'> & { isShared: boolean }) {
  if (returned === 'empty') return 'Redis came back empty and was seeded from memory'
  if (returned !== 'older') return null
  const note = 'Redis came back in an older state and was seeded from memory'
  if (removed !== undefined) return `${note}; ${removed} keys that had been deleted since were deleted again`
  return isShared ? note : `${note}; memory was partial, so nothing was removed`
}
