// The state role in Redis: the StateStore contract, and what a full resync and a merge need as well.

import { createUnderWay } from '../../lib/async/under-way.ts'
import type { Now } from '../../lib/time.ts'
import { type FindKind, keys } from '../keys.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { StateValue, VersionedEntry } from './kinds/kinds.ts'
import type { LwwRegister } from './kinds/lww-register.ts'
import { BUMP } from './kinds/max-register-map.ts'
import { entriesOf, HIT, hitResult } from './kinds/sliding-window-log.ts'
import { encodeTimestamped } from './kinds/timestamped.ts'
import { createRedisRepair } from './merge/redis-repair.ts'
import { type Before, createRedisWrites } from './merge/redis-writes.ts'
import { createRedisStateKeys } from './redis-state-keys.ts'
import { createRedisStateReads } from './redis-state-reads.ts'
import { BEGIN_EPOCH } from './state-scripts.ts'
import type { StateStore } from './state-store.ts'

export interface RedisStateStore extends StateStore {
  /** The versions under these keys, undefined for what is absent or corrupt. One round trip. */
  read(keys: readonly string[]): Promise<(VersionedEntry | undefined)[]>
  /** Merges the versions into those that are there. One round trip. */
  merge(entries: readonly (readonly [string, VersionedEntry])[]): Promise<Before[]>
  /** One page of the keys that hold state. */
  scan(cursor: string): Promise<{ cursor: string; keys: string[] }>
  delete(keys: readonly string[]): Promise<void>
  /** `by`: the process whose sequence it tells. */
  incarnation(by: string): Promise<Incarnation>
  /**
   * Begins the epoch `to`, unless Redis is not in `from` any more, and raises the sequence of the process to this
   * at least.
   */
  beginEpoch(begin: BeginEpoch): Promise<Incarnation>
  bumpSequence(by: string): Promise<Incarnation>
}

/** Which epoch Redis is in (undefined: none yet), and how far one process has come in it. */
export interface Incarnation {
  readonly epoch: string | undefined
  readonly sequence: number
}

export interface BeginEpoch {
  from: string | undefined
  to: string
  by: string
  sequence: number
}

/**
 * Why what is in Redis under a key counts as absent; `twin`: it is sound, but of the same time and writer as ours, and
 * not the same.
 */
export type Damage = 'foreign' | 'corrupt' | 'twin'

const PAGE = 500

export interface RedisStateStoreOptions {
  connection: RedisConnection
  prefix: string
  kindOf: FindKind
  /** Whether others write here too. We alone know the newest version of everything, and need not compare in Redis. */
  isShared: boolean
  /** The version of this key that is known here: when Redis has the same one, its end need not be asked for. */
  known?: (key: string) => VersionedEntry | undefined
  /** A value is of another type, or not one of ours. */
  damaged?: (key: string, damage: Damage, met: 'read' | 'written') => void
  now?: Now
}

export function createRedisStateStore(options: RedisStateStoreOptions): RedisStateStore {
  const { connection, prefix, kindOf, isShared, known = () => undefined, damaged = () => {} } = options
  const { now = Date.now } = options
  const { own, foreign, reading, writing, run } = createRedisStateKeys({
    prefix,
    kindOf,
    foreign: (key, met) => damaged(key, 'foreign', met),
  })
  /** Redis is told how long, not until when: its clock may be another. */
  const leftMs = (expiresAtMs: number) => Math.max(1, Math.ceil(expiresAtMs - now()))

  const tell = (key: string, met: 'read' | 'written') => damaged(key, 'corrupt', met)
  const repair = createRedisRepair({ run, known, corrupt: tell, leftMs })
  const twin = (key: string) => damaged(key, 'twin', 'written')
  const { mergeInto, replaceIn, claimIn } = createRedisWrites({ run, repair, twin, leftMs })
  const { fetch, find } = createRedisStateReads({
    connection,
    own,
    foreign,
    kindOf,
    known,
    corrupt: (key) => tell(key, 'read'),
    repair,
    now,
  })
  const underWay = createUnderWay()
  const call = connection.call

  /** Whether Redis need not compare: nobody else writes there, and the version here is live and older. */
  function isNewest(key: string, value: LwwRegister): boolean {
    const here = isShared ? undefined : known(key)?.value
    return here !== undefined && isLive(here) && here.timestamp < value.timestamp
  }

  return {
    find,

    put: (key, version) =>
      underWay.during(key, (isAlone) =>
        call(async (client) => {
          const { value, expiresAtMs } = version
          if (!isAlone || !isLive(value) || !isNewest(key, value))
            return (await mergeInto(client, key, version)).won
          await client.set(own(key), encodeTimestamped(value), { PX: leftMs(expiresAtMs) })
          return true
        }),
      ),

    replace: (key, version, expected = '') =>
      underWay.during(key, () => call((client) => replaceIn(client, key, version, expected))),

    claim: (key, claim) => call((client) => claimIn(client, key, claim)),

    hit: (key, hit) =>
      call(async (client) => {
        const { nowMs, limit, windowMs, cost = 1 } = hit
        const entries = entriesOf(key, hit).flatMap(({ atMs, id }) => [atMs, id])
        const { reply } = await run(client, HIT, key, nowMs, limit, windowMs, cost, ...entries)
        const [allowed, count, leaves, grows] = reply as [number, number, Buffer, Buffer]
        const leavesMs = Number(leaves) < 0 ? undefined : Number(leaves)
        return hitResult({ allowed: allowed === 1, count, leavesMs, growsMs: Number(grows) }, hit)
      }),

    bump: (key, fields, floor) =>
      call(async (client) => Number((await run(client, BUMP, key, floor, ...fields)).reply)),

    read: (names) => call((client) => fetch(client, names)),
    merge: (entries) =>
      call((client) =>
        Promise.all(entries.map(async ([key, version]) => (await mergeInto(client, key, version)).before)),
      ),

    scan: (cursor) =>
      call(async (client) => {
        const page = await client.scan(cursor, { MATCH: `${prefix}*`, COUNT: PAGE })
        const names = page.keys.map((name) => name.toString().slice(prefix.length))
        return { cursor: page.cursor.toString(), keys: names.filter((name) => kindOf(name) !== undefined) }
      }),

    delete: (names) =>
      call(async (client) => {
        if (names.length > 0) await client.unlink(names.map(own))
      }),

    incarnation: (by) =>
      call(async (client) => {
        const [epoch, sequence] = await Promise.all([
          reading(keys.epoch, client.get(own(keys.epoch))),
          reading(keys.sequences, client.hGet(own(keys.sequences), by)),
        ])
        return incarnationOf(epoch, sequence)
      }),

    beginEpoch: ({ from = '', to, by, sequence }) =>
      call(async (client) => {
        const { reply } = await run(client, BEGIN_EPOCH, EPOCH, from, to, by, sequence)
        return incarnationOf(...(reply as [Buffer, Buffer]))
      }),

    bumpSequence: (by) =>
      call(async (client) => {
        const { reply } = await writing(client, EPOCH, () =>
          Promise.all([client.get(own(keys.epoch)), client.hIncrBy(own(keys.sequences), by, 1)]),
        )
        const [epoch, sequence] = reply
        return { epoch: epoch?.toString(), sequence }
      }),
  }
}

const EPOCH = [keys.epoch, keys.sequences]

const incarnationOf = (
  epoch: Buffer | null | undefined,
  sequence: Buffer | null | undefined,
): Incarnation => ({
  epoch: epoch?.toString() || undefined,
  sequence: numberOr0(sequence),
})

function numberOr0(bytes: Buffer | null | undefined): number {
  const number = Number(bytes ?? 0)
  return Number.isFinite(number) ? number : 0
}

const isLive = (value: StateValue): value is LwwRegister =>
  value.kind === 'lww-register' && value.bytes !== undefined
