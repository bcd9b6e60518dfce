// The state role, opened: Redis, the standby, the journal and their files, in the variant the configuration names.
import { randomUUID } from 'node:crypto'
import { SECOND } from '../../lib/time.ts'
import { keys, kindOf } from '../keys.ts'
import { connectRedis } from '../redis.ts'
import { createFailover, switchedOff } from '../store/failover.ts'
import { quietly } from '../store/store.ts'
import { createChanges } from './changes.ts'
import { createState } from './create-state.ts'
import { createDiskCopy } from './disk-copy.ts'
import { createEmptied } from './emptied.ts'
import { createFacts } from './facts.ts'
import { createFailoverStateStore } from './failover-state-store.ts'
import { createJournal } from './journal.ts'
import { createOutages } from './outages.ts'
import { createRecentWrites } from './recent-writes.ts'
import { createRedisStateStore } from './redis-state-store.ts'
import { createStamps } from './stamps.ts'
import { createStandby, type Standby } from './standby.ts'
import { type OnDisk, openStateFiles, type StateFiles } from './state-files.ts'
import { createStateMerge, type Return } from './state-merge.ts'
import type { StateClears, StateRole, StateRoleOptions } from './state-role.ts'
import type { Kept } from './state-value.ts'

const RECENT_MS = 3 * SECOND
const TICK_MS = SECOND

export function openState(options: StateRoleOptions): StateRole {
  const { target, ca, budgetMs, prefix, hasHeartbeat, isShared, memoryBudgetBytes, log } = options
  const { parts = { createJournal, createRedisStateStore } } = options
  const stamps = createStamps()
  const facts = createFacts()
  const journal = parts.createJournal()
  const outages = createOutages()
  const copy = createDiskCopy(() => standby)
  const standby = createStandby({
    budgetBytes: memoryBudgetBytes,
    stamps,
    // Limits change with every request: they are copied when Redis is left, and journaled from then on.
    changed: (key) => void (kindOf(key) !== 'log' && copy.changed(key)),
  })
  let files: StateFiles | undefined
  const openFiles = (others: readonly OnDisk[]) => {
    files = openStateFiles({ ...options, standby, parts: [journal, facts, outages, copy, ...others] })
  }
  const closeFiles = () => {
    copy.close()
    files?.close()
  }
  const shared = { outages, coverage: standby.coverage, pendingWrites: journal.size }

  if (!target) {
    const status = switchedOff(Date.now())
    return {
      ...shared,
      state: createState({ store: standby, stamps, known: standby.keys }),
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
        const end = { servedCalls: 0, merged: {}, conflicts: [], lost: 0, note: 'Redis was switched off' }
        for (const role of ['cache', 'state'] as const) outages.ended(role, end, Date.now())
        log.info(
          'Redis is switched off (REDIS_URL=off): cache (кэш) and state are in memory, state with a copy on disk',
        )
      },
      close: closeFiles,
    }
  }

  const connection = connectRedis({ target, ca, budgetMs, trackPrefix: isShared ? prefix : undefined })
  const redis = parts.createRedisStateStore({ connection, prefix, isShared, known: standby.kept })
  // By a steady clock: a step of the wall clock must not make these writes old.
  const recent = createRecentWrites(RECENT_MS, () => performance.now())
  const merge = createStateMerge({ redis, standby, journal, facts, log })
  const failover = createFailover({
    role: 'state',
    connection,
    probeKey: `${prefix}probe:${randomUUID()}`,
    hasHeartbeat,
    events: {
      left() {
        journal.putAll(recent.keys().flatMap((key) => entryOf(standby, key)))
        for (const key of standby.keys()) if (kindOf(key) === 'log') copy.changed(key)
        copy.flush()
      },
      outageBegan: (cause, atMs) => outages.began('state', cause, atMs),
      returned(servedCalls, atMs) {
        void quietly(fill())
        return endOutage(servedCalls, atMs)
      },
    },
    log,
  })
  function endOutage(servedCalls: number, atMs: number) {
    const { returned, removed, ...report } = merge.takeReport()
    const note = noteOf({ returned, removed, coverage: standby.coverage() })
    return outages.ended('state', { servedCalls, ...report, lost: files?.unreadable() ?? 0, note }, atMs)
  }
  const emptied = createEmptied({
    isAnotherLife: merge.isAnotherLife,
    async seed() {
      const noticedAtMs = Date.now()
      await clears?.synchronize()
      await merge.run(0) // what others write to it meanwhile stays
      if (!failover.isRedis()) return // then that outage's report tells of it
      outages.began('state', 'emptied: Redis lost its keys while it answered', noticedAtMs)
      endOutage(0, Date.now())
    },
  })
  const written = (key: string) => {
    recent.add(key)
    merge.wrote()
  }
  let hasRaisedAway = false
  const raisedAway = () => {
    hasRaisedAway = true
  }
  const store = createFailoverStateStore({ redis, standby, journal, failover, emptied, written, raisedAway })
  const changes = createChanges({ redis, standby, journal })
  let clears: StateClears | undefined

  // Redis may be too slow for a page of it without going away: the rest is owed.
  let isFillOwed = false
  async function fill(): Promise<void> {
    isFillOwed = false
    try {
      await merge.fill()
    } catch (error) {
      isFillOwed = true
      throw error
    }
  }

  // What Redis was too slow for is merged while it answers; what others wrote is copied.
  async function tick(): Promise<void> {
    if (!failover.isRedis()) return
    if (clears?.isPending()) await clears.synchronize()
    await merge.settle()
    if (!(await merge.tick())) await emptied.look()
    await changes.follow()
    if (isFillOwed) await fill()
  }
  const timer = setInterval(() => void quietly(tick()), TICK_MS).unref()

  return {
    ...shared,
    state: createState({ store, stamps, known: standby.keys }),
    numbers: {
      store,
      redis,
      isRedis: failover.isRedis,
      isTracked: () => !isShared || connection.isTracked(), // where nobody else writes there is nothing to be told of
      takeRaisedAway() {
        const taken = hasRaisedAway
        hasRaisedAway = false
        return taken
      },
    },
    status: failover.status,
    start(given, parts) {
      clears = given
      openFiles(parts)
      connection.onInvalidate((key) => {
        if (key === keys.generations || key === undefined) void given.refresh()
        if (key !== undefined) changes.note(key)
      })
      failover.start({
        isPending: () => given.isPending() || merge.isPending(),
        async run(awaySinceMs) {
          await given.synchronize()
          await merge.run(awaySinceMs)
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

function entryOf(standby: Standby, key: string): [string, Kept][] {
  const version = standby.kept(key)
  return version ? [[key, version]] : []
}

function noteOf({ returned, removed, coverage }: { returned: Return; removed: number; coverage: string }) {
  if (returned === 'empty') return 'Redis came back empty and was seeded from memory'
  if (returned !== 'older') return null
  const rest =
    coverage === 'full'
      ? `${removed} keys that had been deleted since were deleted again`
      : 'memory was partial, so nothing was removed'
  return `Redis came back in an older state and was seeded from memory; ${rest}`
}
