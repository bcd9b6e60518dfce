// The state role in Redis: the StateStore contract, and what a full resync and a merge need as well.

import { createUnderWay } from '../../lib/async/under-way.ts'
import { corrupt } from '../../lib/codec.ts'
import type { Now } from '../../lib/time.ts'
import { type FindKind, keys } from '../keys.ts'
import type { RedisClient, RedisConnection } from '../redis/connection.ts'
import {
  CLAIM,
  type FirstWriteWinsRegister,
  firstWriteWinsRegister,
} from './kinds/first-write-wins-register.ts'
import { kinds, type StateValue, type VersionedEntry } from './kinds/kinds.ts'
import { type LwwRegister, REPLACE } from './kinds/lww-register.ts'
import { BUMP } from './kinds/max-register-map.ts'
import { HIT, hitResult } from './kinds/sliding-window-log.ts'
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

/** What a merge met under the key: the claim that was there, or a value of another type, which is gone now. */
export type Before = FirstWriteWinsRegister | 'foreign' | undefined

/** Why what is in Redis under a key counts as absent. */
export type Damage = 'foreign' | 'corrupt'

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
  const { own, reading, writing, run } = createRedisStateKeys({
    prefix,
    kindOf,
    foreign: (key, met) => damaged(key, 'foreign', met),
  })
  const damagedRead = (key: string) => damaged(key, 'corrupt', 'read')
  const { fetch, find } = createRedisStateReads({
    connection,
    own,
    reading,
    kindOf,
    known,
    corrupt: damagedRead,
    now,
  })
  const underWay = createUnderWay()
  const call = connection.call

  /** Redis is told how long, not until when: its clock may be another. */
  const leftMs = (expiresAtMs: number) => Math.max(1, Math.ceil(expiresAtMs - now()))

  /** Whether Redis need not compare: nobody else writes there, and the version here is live and older. */
  function isNewest(key: string, { value }: VersionedEntry): boolean {
    const here = isShared ? undefined : known(key)?.value
    return isLive(value) && here !== undefined && isLive(here) && here.timestamp < value.timestamp
  }

  async function mergeInto(client: RedisClient, key: string, { value, expiresAtMs }: VersionedEntry) {
    const { script, toArguments } = kinds[value.kind]
    return run(client, script, key, leftMs(expiresAtMs), ...toArguments(value))
  }

  async function mergeOne(
    client: RedisClient,
    [key, version]: readonly [string, VersionedEntry],
  ): Promise<Before> {
    const { reply, replaced } = await mergeInto(client, key, version)
    if (replaced) return 'foreign'
    if (version.value.kind !== firstWriteWinsRegister.name || !Buffer.isBuffer(reply)) return undefined
    const before = firstWriteWinsRegister.decode(reply)
    return before === corrupt ? undefined : before
  }

  return {
    find,

    put: (key, version) =>
      underWay.during(key, (isAlone) =>
        call(async (client) => {
          const { value, expiresAtMs } = version
          if (!isAlone || !isNewest(key, version)) return (await mergeInto(client, key, version)).reply !== 0
          await client.set(own(key), kinds[value.kind].encode(value), { PX: leftMs(expiresAtMs) })
          return true
        }),
      ),

    replace: (key, { value, expiresAtMs }, expected = '') =>
      underWay.during(key, () =>
        call(async (client) => {
          const args = [leftMs(expiresAtMs), kinds[value.kind].encode(value), expected]
          return (await run(client, REPLACE, key, ...args)).reply === 1
        }),
      ),

    claim: (key, claim) =>
      call(async (client) => {
        const args = [leftMs(claim.expiresAtMs), firstWriteWinsRegister.encode(claim.value)]
        const { reply } = await run(client, CLAIM, key, ...args)
        const value = firstWriteWinsRegister.decode(reply as Buffer)
        const isOurs = value === corrupt || value.timestamp === claim.value.timestamp
        return isOurs ? claim : { value, expiresAtMs: claim.expiresAtMs }
      }),

    hit: (key, hit) =>
      call(async (client) => {
        const { id, nowMs, limit, windowMs, cost = 1 } = hit
        const { reply } = await run(client, HIT, key, nowMs, limit, windowMs, id, cost)
        const [allowed, count, leaves, grows] = reply as [number, number, Buffer, Buffer]
        const leavesMs = Number(leaves) < 0 ? undefined : Number(leaves)
        return hitResult({ allowed: allowed === 1, count, leavesMs, growsMs: Number(grows) }, hit)
      }),

    bump: (key, fields, floor) =>
      call(async (client) => Number((await run(client, BUMP, key, floor, ...fields)).reply)),

    read: (names) => call((client) => Promise.all(names.map((key) => fetch(client, key)))),
    merge: (entries) => call((client) => Promise.all(entries.map((entry) => mergeOne(client, entry)))),

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
