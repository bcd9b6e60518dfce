// Redis is back: what it missed is played into it. While Redis is asked, what it was too slow for is played into it
// as well.
import type { Log } from '../../../log.ts'
import { wordOf } from '../../keys.ts'
import { createParticipant, type Participant, type Return } from '../../participant.ts'
import type { Journal } from '../disk/journal.ts'
import type { FirstWriteWinsRegister } from '../kinds/first-write-wins-register.ts'
import { physicalMsOf } from '../kinds/hybrid-clock.ts'
import type { VersionedEntry } from '../kinds/kinds.ts'
import type { RedisStateStore } from '../redis-state-store.ts'
import type { Standby } from '../standby.ts'
import { createMergeReport, type MergeReport } from './merge-report.ts'
import { type RedisEpoch, worst } from './redis-epoch.ts'
import type { Before } from './redis-writes.ts'
import { everythingIn } from './resync.ts'

const BATCH = 200 // keys a round trip; fewer where that many do not fit into a command's budget

export interface StateMerge {
  /** The journal, as one of those who keep something through an outage. */
  readonly participant: Participant
  /**
   * Decides what Redis turned out to be, and journals everything that it may have lost. Of several tries in one
   * return the worst finding counts. Rejects with RedisUnavailable.
   */
  examine(awaySinceMs: number): Promise<Return>
  /** Those of the keys that the standby knows. */
  known(keys: Iterable<string>): [string, VersionedEntry][]
  /** A value in Redis was damaged. */
  noteDamage(key: string): void
  /** Two sound values are of one time and writer, and not the same. */
  noteTwin(key: string): void
  /** What was damaged, or a conflict, since the last call of this or of `takeReport`. */
  takeDamage(): Pick<MergeReport, 'conflicts' | 'corrupt'>
  /** What the merges since the last call did, and what was damaged. */
  takeReport(): MergeReport
}

export interface StateMergeOptions {
  redis: RedisStateStore
  standby: Standby
  journal: Journal
  epoch: RedisEpoch
  /** The keys that were written to Redis in the last seconds: it may not have kept them. */
  recentKeys: () => string[]
  /** Whether others write there: what this process does not know may be theirs. */
  isShared: boolean
  /** Whether limiter logs may take room of Redis (limits/redis-room.ts). */
  takesHit: () => boolean
  log: Log
}

export function createStateMerge(options: StateMergeOptions): StateMerge {
  const { redis, standby, journal, epoch, recentKeys, isShared, takesHit, log } = options
  let report = createMergeReport()
  let batchSize = BATCH

  const entriesOf = (names: Iterable<string>) =>
    [...names].flatMap((key): [string, VersionedEntry][] => {
      const version = standby.kept(key)
      return version && !isEmpty(version) ? [[key, version]] : []
    })

  async function seed(returned: Return, isOlderSelf: boolean, awaySinceMs: number): Promise<void> {
    const versions = entriesOf(standby.keys())
    journal.putAll(versions)
    log.warn(
      { returned, keys: versions.length },
      `Redis came back ${returned}: it is seeded from the standby`,
    )
    if (isOlderSelf && !isShared && standby.coverage() === 'full') await removeUnknown(awaySinceMs)
  }

  /** What nobody but us wrote and we do not know has been deleted since. */
  async function removeUnknown(madeBeforeMs: number): Promise<void> {
    report.removed ??= 0
    for await (const page of everythingIn(redis)) {
      const isGone = ([key, { value }]: readonly [string, VersionedEntry]) =>
        value.kind === 'lww-register' && !standby.kept(key) && physicalMsOf(value.timestamp) < madeBeforeMs
      const gone = page.filter(isGone).map(([key]) => key)
      await redis.delete(gone)
      report.removed += gone.length
    }
  }

  async function mergeBatch(): Promise<void> {
    const batch = journal.entries(batchSize)
    // A log without room there is counted here alone, as its hits are from now on.
    const sent = batch.filter(([, { value }]) => value.kind !== 'sliding-window-log' || takesHit())
    const before = await redis.merge(sent).catch((error) => {
      batchSize = Math.max(1, Math.floor(batch.length / 2))
      throw error
    })
    batchSize = Math.min(BATCH, batchSize * 2)
    for (const [i, entry] of sent.entries()) note(entry, before[i])
    journal.acknowledge(batch)
  }

  function note([key, { value }]: [string, VersionedEntry], before: Before): void {
    report.addMerged(wordOf(key))
    if (before === 'foreign') report.addConflict(`${key} was of another type in Redis, and was replaced`)
    else if (value.kind !== 'first-write-wins-register' || before === 'corrupt') return
    else if (!before) report.addAccepted(key)
    else if (isOther(value, before)) report.addConflict(`${key} was processed twice`)
  }

  return {
    participant: createParticipant({
      load: journal.load,
      persist: journal.persist,
      left: () => journal.putAll(entriesOf(recentKeys())),
      async merge() {
        while (journal.size() > 0) await mergeBatch()
      },
      isPending: () => journal.size() > 0,
      pending: journal.size,
    }),
    async examine(awaySinceMs) {
      const found = await epoch.examine((returned, isOlderSelf) => seed(returned, isOlderSelf, awaySinceMs))
      report.returned = worst(report.returned, found)
      return report.returned
    },
    known: entriesOf,
    noteDamage: (key) => report.addDamage(key),
    noteTwin: (key) =>
      report.addConflict(`${key} had two values of one time: the same one of them was chosen everywhere`),
    takeDamage: () => report.takeDamage(),
    takeReport() {
      const taken = report.take()
      report = createMergeReport()
      return taken
    },
  }
}

/** Counters that nobody has bumped yet. */
const isEmpty = ({ value }: VersionedEntry) => value.kind === 'max-register-map' && value.fields.size === 0

const isOther = (ours: FirstWriteWinsRegister, other: FirstWriteWinsRegister) =>
  ours.timestamp !== other.timestamp && !ours.bytes.equals(other.bytes)
