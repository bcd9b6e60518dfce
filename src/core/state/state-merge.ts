// Redis is back: what it missed is played into it, and what it holds besides is copied to the standby.
//
// Whether it kept its data is told by two keys of its own: an epoch, made once, and an offset that grows while we
// write, one for each process: another's would hide that ours was lost. The same epoch and an offset not behind ours: it kept everything. No epoch: it came back empty, and is seeded
// with all that the standby knows. An offset behind ours: it is an older state of itself, seeded too. Both times a new epoch
// begins, so that every other process seeds it as well: it may have forgotten what only that one knows. Another epoch: a
// state from before it was empty, or a life that another process began; it is seeded.

import { randomUUID } from 'node:crypto'
import type { Log } from '../../log.ts'
import { RedisUnavailable } from '../errors.ts'
import type { Journal } from './disk/journal.ts'
import { physicalMsOf } from './kinds/timestamps.ts'
import type { Claim, VersionedEntry } from './kinds/versioned-entry.ts'
import type { Life, RedisStateStore } from './redis-state-store.ts'
import type { Standby } from './standby.ts'

const BATCH = 200 // keys a round trip; fewer where that many do not fit into a command's budget

const MOST_ACCEPTED = 100

/** What Redis turned out to be when it came back. */
export type Return = 'first' | 'kept' | 'empty' | 'older'

export interface MergeReport {
  readonly returned: Return
  /** How many keys were merged, by the first word of their names. */
  readonly merged: Readonly<Record<string, number>>
  /** What was claimed while Redis was away, the first of them: key names. */
  readonly accepted: readonly string[]
  /** One sentence each. */
  readonly conflicts: readonly string[]
  /** Deleted because the standby did not know them; undefined where that proves nothing. */
  readonly removed: number | undefined
}

export interface StateMerge {
  /** Rejects with RedisUnavailable; what Redis turned out to be. */
  run(awaySinceMs: number): Promise<Return>
  /** Merges what is in the journal, also when Redis was never away: it may only have been slow. */
  settle(): Promise<void>
  isPending(): boolean
  /** What the merges since the last call did. */
  takeReport(): MergeReport
  /** Copies what Redis has into the standby. */
  fill(): Promise<void>
  /** Moves the offset on, if anything was written since. Rejects as expectSameLife does. */
  tick(): Promise<void>
  /** The life that Redis is known to be in. */
  life(): string | undefined
  /** Rejects with RedisUnavailable when Redis is not in that life any more: what it said since may be of an empty one. */
  expectSameLife(life: string | undefined): Promise<void>
  /** Something was written to Redis. */
  wrote(): void
}

export interface StateMergeOptions {
  redis: RedisStateStore
  standby: Standby
  journal: Journal
  /** Whether others write there: what this process does not know may be theirs. */
  isShared: boolean
  /** Metadata that outlive the process: which life of Redis we knew, and how far it had come. */
  metadata: { get(name: string): string | undefined; set(name: string, value: string): void }
  log: Log
}

export function createStateMerge({
  redis,
  standby,
  journal,
  isShared,
  metadata,
  log,
}: StateMergeOptions): StateMerge {
  let report = emptyReport()
  let hasWritten = false
  let filling = 0
  let batchSize = BATCH

  /** Finds out what Redis is now; everything it may have lost goes into the journal. */
  async function examine(awaySinceMs: number): Promise<Return> {
    const by = ourName()
    const known = knownLife()
    const life = await redis.life(by)
    const returned = compare(life, known)
    const isOlder = returned === 'older' && life.epoch === known.epoch
    if (returned === 'empty' || returned === 'older') {
      const versions = [...standby.keys()].flatMap((key) => entryOf(key))
      journal.putAll(versions)
      log.warn(
        { returned, keys: versions.length },
        `Redis came back ${returned}: it is seeded from the standby`,
      )
      if (isOlder && !isShared && standby.coverage() === 'full') await removeUnknown(awaySinceMs)
    }
    const to = isOlder || !life.epoch ? randomUUID() : life.epoch
    const begun = await redis.beginLife({ from: life.epoch, to, by, offset: known.offset + 1 })
    // Another process was faster, with what it knows: ours has still to be put there.
    if (begun.epoch !== to) return worst(returned, await examine(awaySinceMs))
    metadata.set('epoch', to)
    metadata.set('offset', String(begun.offset))
    return returned
  }

  const knownLife = (): Life => ({
    epoch: metadata.get('epoch'),
    offset: Number(metadata.get('offset') ?? 0),
  })

  /** Of this process and of those that come after it on its disk. */
  function ourName(): string {
    const name = metadata.get('process') ?? randomUUID()
    if (!metadata.get('process')) metadata.set('process', name)
    return name
  }

  const entryOf = (key: string): [string, VersionedEntry][] => {
    const version = standby.kept(key)
    return version ? [[key, version]] : []
  }

  async function removeUnknown(madeBeforeMs: number): Promise<void> {
    report.removed ??= 0
    for await (const [key, version] of everything()) {
      if (
        version.value.kind !== 'record' ||
        standby.kept(key) ||
        physicalMsOf(version.value.timestamp) >= madeBeforeMs
      )
        continue
      await redis.delete([key])
      report.removed += 1
    }
  }

  async function* everything(): AsyncGenerator<readonly [string, VersionedEntry]> {
    let cursor = '0'
    do {
      const page = await redis.scan(cursor)
      cursor = page.cursor
      for (let i = 0; i < page.keys.length; i += BATCH) {
        const names = page.keys.slice(i, i + BATCH)
        const versions = await redis.read(names)
        for (const [j, key] of names.entries()) {
          const version = versions[j]
          if (version) yield [key, version]
        }
      }
    } while (cursor !== '0')
  }

  async function mergeBatch(): Promise<void> {
    const batch = journal.entries(batchSize)
    const before = await redis.merge(batch).catch((error) => {
      batchSize = Math.max(1, Math.floor(batch.length / 2))
      throw error
    })
    batchSize = Math.min(BATCH, batchSize * 2)
    for (const [i, [key, { value }]] of batch.entries()) {
      const word = key.slice(0, key.indexOf(':'))
      report.merged[word] = (report.merged[word] ?? 0) + 1
      const other = before[i]
      if (other === 'foreign') report.conflicts.push(`${key} was of another type in Redis, and was replaced`)
      if (value.kind !== 'claim' || other === 'foreign') continue
      if (other && isOther(value, other)) report.conflicts.push(`${key} was processed twice`)
      if (!other && report.accepted.length < MOST_ACCEPTED) report.accepted.push(key)
    }
    journal.settle(batch)
  }

  async function settle(): Promise<void> {
    while (journal.size() > 0) await mergeBatch()
  }

  return {
    async run(awaySinceMs) {
      report.returned = worst(report.returned, await examine(awaySinceMs))
      await settle()
      return report.returned
    },
    settle,
    isPending: () => journal.size() > 0,
    takeReport() {
      const taken = report
      report = emptyReport()
      return taken
    },
    async fill() {
      filling += 1
      const number = filling
      standby.beginFill()
      for await (const [key, version] of everything()) {
        if (number !== filling) return // a later fill has taken over
        standby.apply(key, version)
      }
      standby.endFill()
    },
    async tick() {
      if (!hasWritten) return
      hasWritten = false
      const life = metadata.get('epoch')
      const { epoch, offset } = await redis.advance(ourName())
      if (metadata.get('epoch') !== life) return // it was seeded meanwhile, after it gave this answer
      if (epoch !== life || offset <= knownLife().offset) throw hasLost()
      metadata.set('offset', String(offset))
    },
    life: () => metadata.get('epoch'),
    async expectSameLife(life) {
      const { offset } = knownLife()
      const there = await redis.life(ourName())
      // It may have been seeded anew by now, after it gave its answer.
      if (metadata.get('epoch') !== life) throw new RedisUnavailable('slow', 'Redis was seeded meanwhile')
      if (compare(there, { epoch: life, offset }) !== 'kept') throw hasLost()
    },
    wrote() {
      hasWritten = true
    },
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function emptyReport(): Writable<MergeReport> & {
  merged: Record<string, number>
  accepted: string[]
  conflicts: string[]
} {
  return { returned: 'kept', merged: {}, accepted: [], conflicts: [], removed: undefined }
}

function compare(life: Life, known: Life): Return {
  if (!known.epoch) return 'first'
  if (!life.epoch) return 'empty'
  return life.epoch === known.epoch && life.offset >= known.offset ? 'kept' : 'older'
}

/** Run again after it was cut off, a merge sees what its first half has done: the worse finding is the true one. */
function worst(a: Return, b: Return): Return {
  const order: Return[] = ['kept', 'first', 'older', 'empty']
  return order.indexOf(a) > order.indexOf(b) ? a : b
}

const hasLost = () => new RedisUnavailable('refused', 'Redis has lost what it held')

const isOther = (ours: Claim, other: Claim) =>
  ours.timestamp !== other.timestamp && !ours.bytes.equals(other.bytes)
