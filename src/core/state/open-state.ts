// The state role, opened: over Redis with the standby behind it, or in memory with a copy on disk where that is
// switched off.
import { randomUUID } from 'node:crypto'
import { MINUTE, SECOND } from '../../lib/time.ts'
import { inBackground } from '../background.ts'
import { compareMark } from '../files/redis-mark.ts'
import { keys } from '../keys.ts'
import type { OutageReport } from '../outages.ts'
import { createParticipant, type Participant, type Return } from '../participant.ts'
import { connectRedis } from '../redis/connection.ts'
import { createFailover, switchedOff } from '../redis/failover.ts'
import { STATE_COMMANDS } from '../redis/needed-commands.ts'
import { noticeNobody } from './absence/notice-nobody.ts'
import { createChangeFeed } from './change-feed.ts'
import { createJournal } from './disk/journal.ts'
import { createFailoverStateStore } from './failover-state-store.ts'
import { createRedisRoom } from './limits/redis-room.ts'
import { noteOf } from './merge/merge-report.ts'
import { createRecentWrites } from './merge/recent-writes.ts'
import { createRedisEpoch } from './merge/redis-epoch.ts'
import { createResync } from './merge/resync.ts'
import { createStateMerge } from './merge/state-merge.ts'
import { createRedisStateStore } from './redis-state-store.ts'
import { createStateCounters } from './state-counters.ts'
import { openStateMemory, type StateMemory } from './state-memory.ts'
import type { StateRole, StateRoleOptions } from './state-role.ts'

const RECENT_MS = 3 * SECOND
const DOUBT_BUDGETS = 4 // so long may Redis be doubted, at most, before it is left
/** Where commands cost: after a cut, noticed immediately, only others' writes of some milliseconds can be missing. */
const RESYNC_AFTER_CUT_MS = 5 * MINUTE
const TICK_MS = SECOND

export function openState(options: StateRoleOptions): StateRole {
  const memory = openStateMemory(options)
  return options.target ? overRedis(options, memory, options.target) : inMemory(options, memory)
}

function inMemory({ dataDir, log, parts }: StateRoleOptions, memory: StateMemory): StateRole {
  const { standby, outages, damage } = memory
  const status = switchedOff(Date.now())
  const { state, store } = memory.over(standby)
  const counters = createStateCounters({ store, standby, log })
  memory.onChange(counters.changed)
  const journal = (parts?.createJournal ?? createJournal)(log) // of a time when Redis was not switched off
  return {
    state,
    counters,
    outages,
    damage,
    redis: undefined,
    own: [...memory.participants, createParticipant({ load: journal.load, persist: journal.persist })],
    status: () => status,
    onStatus: () => {},
    coverage: () => 'full',
    suspect: () => {},
    start(participants) {
      memory.openFiles(participants)
      const none = { servedCalls: 0, merged: {}, accepted: [], conflicts: [], corrupt: 0, lost: 0 }
      const end = { ...none, note: 'Redis was switched off' }
      for (const role of ['cache', 'state'] as const) outages.ended(role, end, Date.now())
      const where = dataDir === undefined ? 'of this process alone' : 'state with a copy on disk'
      log.info(`Redis is switched off (REDIS_URL=off): cache (кэш) and state are in memory, ${where}`)
    },
    close: memory.close,
  }
}

function overRedis(
  options: StateRoleOptions,
  memory: StateMemory,
  target: NonNullable<StateRoleOptions['target']>,
): StateRole {
  const { ca, budgetMs, prefix, kindOf, hasHeartbeat, isExternal, isShared, installation, runDir, log } =
    options
  const { parts = { createJournal, createRedisStateStore } } = options
  const openedAtMs = Date.now()
  const { standby, absence, whole, metadata, outages, damage } = memory
  const journal = parts.createJournal(log)
  const connection = noticeNobody(
    connectRedis({ target, ca, budgetMs, trackPrefix: prefix }),
    // Whose disk knows a Redis is not alone, wherever that is now.
    (isNobodyThere) => absence.setAlone(isNobodyThere && !isExternal && !runDir && !metadata.get('epoch')),
  )
  const redis = parts.createRedisStateStore({
    connection,
    prefix,
    kindOf,
    isShared,
    known: standby.kept,
    damaged(key, kind, met) {
      if (kind === 'twin') return foundTwin(key)
      damage.note(kind === 'foreign' ? 'foreign' : 'Redis', key)
      if (kind === 'corrupt') merge.noteDamage(key)
      const here = standby.kept(key)
      if (here && met === 'read') journal.putAll([[key, here]]) // so that Redis has it again
    },
  })
  const { takesHit } = createRedisRoom({ connection, log })
  const epoch = createRedisEpoch({ redis, metadata, foundEmpty: whole.resynced })
  const { current, expectSame: expectSameEpoch } = epoch
  // By a steady clock: a step of the wall clock must not make these writes old.
  const recent = createRecentWrites(RECENT_MS + DOUBT_BUDGETS * budgetMs, () => performance.now())
  const merge = createStateMerge({
    redis,
    standby,
    journal,
    epoch,
    recentKeys: recent.keys,
    isShared,
    takesHit,
    log,
  })
  let damagedBefore = 0
  function foundTwin(key: string): void {
    damage.note('twin', key)
    merge.noteTwin(key)
  }
  memory.onTwin(foundTwin)
  const resync = createResync({ redis, standby, ended: whole.resynced })

  /**
   * Reads all of Redis after an outage; what is damaged there is told in its report. Where something is, keys that are
   * missing were damaged as well, not deleted: they are put back.
   */
  async function resyncAfter(outage: OutageReport | undefined): Promise<void> {
    try {
      const seen = await resync.run()
      if (!seen || damage.count() === damagedBefore) return
      const missing = [...standby.keys()].filter((key) => !seen.has(key))
      journal.putAll(merge.known(missing))
    } finally {
      if (outage) outages.amend(outage.id, merge.takeDamage())
    }
  }
  let participants: Participant = createParticipant({})

  const failover = createFailover({
    role: 'state',
    connection,
    probeKey: `${prefix}probe:${randomUUID()}`,
    commands: STATE_COMMANDS,
    hasHeartbeat,
    events: {
      cut: () => participants.cut(),
      left() {
        damagedBefore = damage.count()
        participants.left()
      },
      outageBegan: (cause, atMs, served) => outages.began('state', cause, atMs, served),
      returned(servedCalls, atMs, { after, isKept }) {
        const { returned, removed, ...report } = merge.takeReport()
        absence.redisIsAsked()
        const isComplete = absence.isComplete()
        const note = noteOf({ returned, removed, isShared })
        const end = { servedCalls, ...report, lost: memory.unreadable(), note }
        // A conflict is reported, also where Redis was found before that it was not there counted as an outage.
        if (end.conflicts.length > 0)
          outages.began('state', 'waiting: Redis had not been read', openedAtMs, () => servedCalls)
        const outage = outages.ended('state', end, atMs)
        if (after === 'reconnect' && !hasHeartbeat && isComplete) resync.runLater(RESYNC_AFTER_CUT_MS)
        else if (after !== 'blip' || !isKept || !isComplete) void inBackground(resyncAfter(outage), log)
        participants.returned()
        if (hasHeartbeat) void inBackground(compareFiles(outage ? null : note), log)
        return outage
      },
    },
    log,
  })
  const changes = createChangeFeed({ redis, standby, journal, kindOf, epoch: current, expectSameEpoch })
  const { state, store } = memory.over(
    createFailoverStateStore({
      redis,
      standby,
      journal,
      failover,
      absence,
      kindOf,
      // Where nobody else writes as a rule, a read need not ask; Redis tells of those who write all the same.
      isKnown: (key) => !isShared && connection.isTracked() && standby.isSynced() && !changes.has(key),
      epoch: current,
      expectSameEpoch,
      takesHit,
      written(key) {
        recent.add(key)
        epoch.wrote()
      },
    }),
  )
  const { isRedis } = failover
  const { isTracked } = connection
  const counters = createStateCounters({ store, redis, journal, standby, isRedis, isTracked, log })
  memory.onChange(counters.changed)

  /** Of a Redis of our own. `note`: what it had lost when this process found it, of which no outage tells. */
  async function compareFiles(note: string | null): Promise<void> {
    if (note !== null) installation.alerts.raise({ file: 'redis-state', problem: 'older', message: note })
    const key = `${prefix}${keys.installation}`
    await failover.attempt(
      () => compareMark({ connection, key, installation }),
      () => {},
    )
  }

  async function expectKnownEpoch(): Promise<void> {
    if (isRedis())
      await failover.attempt(
        () => expectSameEpoch(current()),
        () => {},
      )
  }

  function invalidated(key: string | undefined): void {
    // Emptied, or in an epoch that another process began, which found it older than it should be.
    if (key === undefined || key === keys.epoch) void inBackground(expectKnownEpoch(), log)
    if (key === undefined) return
    // A process alone needs no news of limits, which are never read; its own scripts would be most of it.
    if (isShared || kindOf(key) !== 'sliding-window-log') changes.note(key)
    if (key === keys.generations) counters.refresh()
  }

  // What Redis was too slow for is merged while it answers; what others wrote is copied.
  async function tick(): Promise<void> {
    if (!isRedis()) return
    await participants.merge(undefined)
    await failover.attempt(epoch.bumpSequence, () => {})
    await failover.attempt(changes.apply, () => {})
    if (changes.takeOverflow() || resync.isDue()) await resync.run()
  }
  const timer = setInterval(() => void inBackground(tick(), log), TICK_MS).unref()

  async function examine(awaySinceMs: number): Promise<Return> {
    const returned = await merge.examine(awaySinceMs)
    if (returned === 'empty' || returned === 'older') failover.foundLoss()
    return returned
  }

  return {
    state,
    counters,
    outages,
    damage,
    redis: { call: connection.call, attempt: failover.attempt, isRedis },
    own: [...memory.participants, merge.participant],
    status: failover.status,
    onStatus: failover.onStatus,
    coverage: standby.coverage,
    suspect: () => void inBackground(expectKnownEpoch(), log),
    start(given) {
      participants = given
      memory.openFiles(given)
      connection.onInvalidate(invalidated)
      failover.start({
        isPending: given.isPending,
        run: async (awaySinceMs) => given.merge(await examine(awaySinceMs)),
        async resume(awaySinceMs) {
          // It may have been emptied just before, and the question of that was abandoned with the other calls.
          const returned = await examine(awaySinceMs)
          await given.merge(returned === 'kept' ? undefined : returned)
        },
      })
    },
    close() {
      clearInterval(timer)
      failover.close()
      memory.close()
    },
  }
}
