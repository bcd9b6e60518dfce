// The state role in Redis: the StateStore contract, and what filling and merging need besides.
import type { Now } from '../../lib/time.ts'
import { createUnderWay } from '../../lib/under-way.ts'
import { keys, kindOf } from '../keys.ts'
import { createReads } from '../redis/batched-reads.ts'
import type { RedisClient, RedisConnection } from '../redis/connection.ts'
import type { Script } from '../redis/script-runner.ts'
import { decodeValue, encodeValue } from './kinds/codec.ts'
import { hitResult } from './kinds/sliding-window-log.ts'
import {
  type Claim,
  type Members,
  MOST_MEMBERS,
  type StateRecord,
  type StateValue,
  type VersionedEntry,
} from './kinds/versioned-entry.ts'
import { type Argument, createRedisStateKeys } from './redis-state-keys.ts'
import {
  BEGIN_LIFE,
  CLAIM,
  HIT,
  MERGE_CLAIM,
  MERGE_LOG,
  MERGE_MARK,
  MERGE_MEMBERS,
  MERGE_RECORD,
  RAISE,
  UPDATE_RECORD,
} from './state-scripts.ts'
import type { StateStore } from './state-store.ts'

export interface RedisStateStore extends StateStore {
  /** The versions under these keys, undefined for what is not there or not readable. One round trip. */
  read(keys: readonly string[]): Promise<(VersionedEntry | undefined)[]>
  /** Merges the versions into what is there. One round trip. */
  merge(entries: readonly (readonly [string, VersionedEntry])[]): Promise<Before[]>
  /** One page of the keys that hold state. */
  scan(cursor: string): Promise<{ cursor: string; keys: string[] }>
  delete(keys: readonly string[]): Promise<void>
  /** `by`: the process whose offset it tells. */
  life(by: string): Promise<Life>
  /** Begins the life `to`, unless Redis is not in `from` any more, and raises its offset to at least `offset`. The life it is in then. */
  beginLife(begin: { from: string | undefined; to: string; by: string; offset: number }): Promise<Life>
  /** Moves the offset on by one. */
  advance(by: string): Promise<Life>
}

/** Which life Redis is in (undefined: a new one), and how far one process has come in it. */
export interface Life {
  readonly epoch: string | undefined
  readonly offset: number
}

/** What a merge met under the key: the claim that was there, or a value of another type, which is gone now. */
export type Before = Claim | 'foreign' | undefined

const PAGE = 500

export interface RedisStateStoreOptions {
  connection: RedisConnection
  prefix: string
  /** Whether others write here too. We alone know the newest version of everything, and need not compare in Redis. */
  isShared: boolean
  /** The version of this key that is known here: when Redis has the same one, its end need not be asked for. */
  known?: (key: string) => VersionedEntry | undefined
  /** Told of each key that has a value of another type. */
  foreign?: (key: string) => void
  now?: Now
}

export function createRedisStateStore(options: RedisStateStoreOptions): RedisStateStore {
  const {
    connection,
    prefix,
    isShared,
    known = () => undefined,
    foreign = () => {},
    now = Date.now,
  } = options
  const { own, reading, writing, run } = createRedisStateKeys({ prefix, foreign })
  const readBytes = createReads(connection)
  const underWay = createUnderWay()
  const call = connection.call

  /** Redis is told how long, not until when: its clock may be another. */
  const leftMs = (expiresAtMs: number) => Math.max(1, Math.ceil(expiresAtMs - now()))

  async function fetch(client: RedisClient, key: string): Promise<VersionedEntry | undefined> {
    const kind = kindOf(key)
    if (kind === undefined) return undefined
    const isSet = kind === 'log' || kind === 'members'
    const [value, ttlMs] = await Promise.all([
      reading(key, isSet ? fetchSet(client, key, kind) : fetchString(client, key, kind)),
      client.pTTL(own(key)),
    ])
    return value && ttlMs > 0 ? { value, expiresAtMs: now() + ttlMs } : undefined
  }

  async function fetchString(client: RedisClient, key: string, kind: 'record' | 'claim' | 'mark') {
    const bytes = await client.get(own(key))
    return bytes === null ? undefined : decodeValue(kind, bytes)
  }

  async function fetchSet(
    client: RedisClient,
    key: string,
    kind: 'log' | 'members',
  ): Promise<StateValue | undefined> {
    const found = await client.zRangeWithScores(own(key), 0, -1)
    if (found.length === 0) return undefined
    if (kind === 'log')
      return { kind, hits: found.map(({ value, score }) => ({ id: value.toString(), atMs: score })) }
    return { kind, members: found.map(({ value, score }) => ({ id: value.toString(), untilMs: score })) }
  }

  /** Whether Redis need not compare: nobody else writes there, and the version here is live and older. */
  function isNewest(key: string, { value }: VersionedEntry<StateRecord>): boolean {
    const here = isShared ? undefined : known(key)?.value
    return (
      value.bytes !== undefined &&
      here?.kind === 'record' &&
      here.bytes !== undefined &&
      here.timestamp < value.timestamp
    )
  }

  async function setRecord(
    client: RedisClient,
    key: string,
    { value, expiresAtMs }: VersionedEntry<StateRecord>,
  ) {
    await client.set(own(key), encodeValue(value), { PX: leftMs(expiresAtMs) })
    return true
  }

  async function mergeRecord(
    client: RedisClient,
    key: string,
    { value, expiresAtMs }: VersionedEntry<StateRecord>,
  ) {
    const { reply } = await run(client, MERGE_RECORD, key, encodeValue(value), leftMs(expiresAtMs))
    return reply === 1
  }

  function membersOf({ value, expiresAtMs }: VersionedEntry<Members>) {
    const members = value.members.flatMap(({ untilMs, id }) => [untilMs, id])
    return [leftMs(expiresAtMs), MOST_MEMBERS, ...members]
  }

  function mergeOf({ value, expiresAtMs }: VersionedEntry): [Script, ...Argument[]] {
    if (value.kind === 'members') return [MERGE_MEMBERS, ...membersOf({ value, expiresAtMs })]
    const left = leftMs(expiresAtMs)
    if (value.kind === 'log') return [MERGE_LOG, left, ...value.hits.flatMap(({ atMs, id }) => [atMs, id])]
    const script = { record: MERGE_RECORD, claim: MERGE_CLAIM, mark: MERGE_MARK }[value.kind]
    return [script, encodeValue(value), left]
  }

  async function mergeOne(
    client: RedisClient,
    [key, version]: readonly [string, VersionedEntry],
  ): Promise<Before> {
    const [script, ...args] = mergeOf(version)
    const { reply, replaced } = await run(client, script, key, ...args)
    if (replaced) return 'foreign'
    if (version.value.kind !== 'claim' || !Buffer.isBuffer(reply)) return undefined
    return decodeValue('claim', reply) as Claim | undefined
  }

  return {
    async find(key) {
      const kind = kindOf(key)
      if (kind === 'record' || kind === 'claim' || kind === 'mark') {
        const bytes = await readBytes(own(key))
        const value = bytes && decodeValue(kind, bytes)
        if (!value) return undefined
        const here = known(key)
        if (here && isSame(here.value, value)) return { ...here, value }
      }
      return await call((client) => fetch(client, key))
    },

    putRecord: (key, version) =>
      underWay.during(key, (isAlone) =>
        call((client) => (isAlone && isNewest(key, version) ? setRecord : mergeRecord)(client, key, version)),
      ),

    updateRecord: (key, { value, expiresAtMs }, expected = '') =>
      underWay.during(key, () =>
        call(async (client) => {
          const args = [encodeValue(value), leftMs(expiresAtMs), expected]
          return (await run(client, UPDATE_RECORD, key, ...args)).reply === 1
        }),
      ),

    claim: (key, claim) =>
      call(async (client) => {
        const args = [encodeValue(claim.value), leftMs(claim.expiresAtMs)]
        const { reply } = await run(client, CLAIM, key, ...args)
        const value = decodeValue('claim', reply as Buffer) as Claim | undefined
        return value && value.timestamp !== claim.value.timestamp
          ? { value, expiresAtMs: claim.expiresAtMs }
          : claim
      }),

    putMark: (key, mark) =>
      call(async (client) => {
        const args = [mark.value.number, leftMs(mark.expiresAtMs)]
        const number = Number((await run(client, MERGE_MARK, key, ...args)).reply)
        return number === mark.value.number ? mark : { ...mark, value: { kind: 'mark', number } }
      }),

    putMembers: (key, members) =>
      call(async (client) => void (await run(client, MERGE_MEMBERS, key, ...membersOf(members)))),

    hit: (key, hit) =>
      call(async (client) => {
        const { id, nowMs, limit, windowMs, cost = 1 } = hit
        const { reply } = await run(client, HIT, key, nowMs, limit, windowMs, id, cost)
        const [allowed, count, leaves, grows] = reply as [number, number, Buffer, Buffer]
        const leavesMs = Number(leaves) < 0 ? undefined : Number(leaves)
        return hitResult({ allowed: allowed === 1, count, leavesMs, growsMs: Number(grows) }, hit)
      }),

    raise: (key, fields, floor) =>
      call(async (client) => Number((await run(client, RAISE, key, floor, ...fields)).reply)),

    generations: (key) =>
      call(async (client) => {
        const fields = (await reading(key, client.hGetAll(own(key)))) ?? {}
        return new Map(Object.entries(fields).map(([field, number]) => [field, Number(number)]))
      }),

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

    life: (by) =>
      call(async (client) => {
        const [epoch, offset] = await Promise.all([
          reading(keys.epoch, client.get(own(keys.epoch))),
          reading(keys.offsets, client.hGet(own(keys.offsets), by)),
        ])
        return lifeOf(epoch, offset)
      }),

    beginLife: ({ from = '', to, by, offset }) =>
      call(async (client) => {
        const { reply } = await run(client, BEGIN_LIFE, LIFE, from, to, by, offset)
        return lifeOf(...(reply as [Buffer, Buffer]))
      }),

    advance: (by) =>
      call(async (client) => {
        const { reply } = await writing(client, LIFE, () =>
          Promise.all([client.get(own(keys.epoch)), client.hIncrBy(own(keys.offsets), by, 1)]),
        )
        const [epoch, offset] = reply
        return { epoch: epoch?.toString(), offset }
      }),
  }
}

const LIFE = [keys.epoch, keys.offsets]

const lifeOf = (epoch: Buffer | null | undefined, offset: Buffer | null | undefined): Life => ({
  epoch: epoch?.toString() || undefined,
  offset: Number(offset ?? 0),
})

function isSame(a: StateValue, b: StateValue): boolean {
  if (a.kind === 'mark' && b.kind === 'mark') return a.number === b.number
  return 'timestamp' in a && 'timestamp' in b && a.timestamp === b.timestamp
}
