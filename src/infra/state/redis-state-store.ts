// The state role in Redis: the StateStore contract, and what filling and merging need besides.

import { createUnderWay } from '../../lib/under-way.ts'
import { keys, kindOf } from '../keys.ts'
import type { RedisClient, RedisConnection } from '../redis.ts'
import { createReads } from '../store/redis-reads.ts'
import { runScript } from '../store/redis-scripts.ts'
import { hitResult } from './sliding-log.ts'
import { decodeValue, encodeValue } from './state-codec.ts'
import {
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
import {
  type Claim,
  type Kept,
  type Members,
  MOST_MEMBERS,
  type StateRecord,
  type StateValue,
} from './state-value.ts'

export interface RedisStateStore extends StateStore {
  /** The versions under these keys, undefined for what is not there or not readable. One round trip. */
  read(keys: readonly string[]): Promise<(Kept | undefined)[]>
  /** Merges the versions into what is there. For each claim, the one that was there before. One round trip. */
  merge(entries: readonly (readonly [string, Kept])[]): Promise<(Claim | undefined)[]>
  /** One page of the keys that hold state. */
  scan(cursor: string): Promise<{ cursor: string; keys: string[] }>
  delete(keys: readonly string[]): Promise<void>
  /** Which life Redis is in (undefined: a new one), and how far it had come. */
  life(): Promise<{ epoch: string | undefined; offset: number }>
  /** Names the life unless it has a name, and raises its offset to at least `offset`. */
  beginLife(epoch: string, offset: number): Promise<void>
  /** Moves the offset on by one; where it is then. */
  advance(): Promise<number>
}

const PAGE = 500
const FOR_EVER_MS = 4_102_444_800_000 // the year 2100

export interface RedisStateStoreOptions {
  connection: RedisConnection
  prefix: string
  /** Whether others write here too. We alone know the newest version of everything, and need not compare in Redis. */
  isShared: boolean
  /** The version of this key that is known here: when Redis has the same one, its end need not be asked for. */
  known?: (key: string) => Kept | undefined
}

export function createRedisStateStore(options: RedisStateStoreOptions): RedisStateStore {
  const { connection, prefix, isShared, known = () => undefined } = options
  const readBytes = createReads(connection)
  const underWay = createUnderWay()
  const call = connection.call
  const own = (key: string) => prefix + key
  const parts = (key: string, ...args: (string | number | Buffer)[]) => ({
    keys: [own(key)],
    arguments: args.map((arg) => (Buffer.isBuffer(arg) ? arg : String(arg))),
  })

  async function fetch(client: RedisClient, key: string): Promise<Kept | undefined> {
    const kind = kindOf(key)
    if (kind === undefined) return undefined
    const [value, expiresAtMs] = await Promise.all([
      kind === 'log' || kind === 'members' ? fetchSet(client, key, kind) : fetchString(client, key, kind),
      client.pExpireTime(own(key)),
    ])
    return value && expiresAtMs > 0 ? { value, expiresAtMs } : undefined
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
  function isNewest(key: string, { value }: Kept<StateRecord>): boolean {
    const here = isShared ? undefined : known(key)?.value
    return (
      value.bytes !== undefined &&
      here?.kind === 'record' &&
      here.bytes !== undefined &&
      here.stamp < value.stamp
    )
  }

  async function setRecord(client: RedisClient, key: string, { value, expiresAtMs }: Kept<StateRecord>) {
    await client.set(own(key), encodeValue(value), { expiration: { type: 'PXAT', value: expiresAtMs } })
    return true
  }

  async function mergeRecord(client: RedisClient, key: string, { value, expiresAtMs }: Kept<StateRecord>) {
    return (await runScript(client, MERGE_RECORD, parts(key, encodeValue(value), expiresAtMs))) === 1
  }

  async function mergeMembers(client: RedisClient, key: string, { value, expiresAtMs }: Kept<Members>) {
    const members = value.members.flatMap(({ untilMs, id }) => [untilMs, id])
    await runScript(client, MERGE_MEMBERS, parts(key, expiresAtMs, MOST_MEMBERS, ...members))
  }

  async function mergeOne(client: RedisClient, [key, { value, expiresAtMs }]: readonly [string, Kept]) {
    if (value.kind === 'log') {
      const hits = value.hits.flatMap(({ atMs, id }) => [atMs, id])
      await runScript(client, MERGE_LOG, parts(key, expiresAtMs, ...hits))
      return undefined
    }
    if (value.kind === 'members') {
      await mergeMembers(client, key, { value, expiresAtMs })
      return undefined
    }
    const script = { record: MERGE_RECORD, claim: MERGE_CLAIM, mark: MERGE_MARK }[value.kind]
    const before = await runScript(client, script, parts(key, encodeValue(value), expiresAtMs))
    return value.kind === 'claim' && Buffer.isBuffer(before)
      ? (decodeValue('claim', before) as Claim)
      : undefined
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
          const args = parts(key, encodeValue(value), expiresAtMs, expected)
          return (await runScript(client, UPDATE_RECORD, args)) === 1
        }),
      ),

    claim: (key, claim) =>
      call(async (client) => {
        const winner = (await runScript(
          client,
          CLAIM,
          parts(key, encodeValue(claim.value), claim.expiresAtMs),
        )) as Buffer
        const value = decodeValue('claim', winner) as Claim | undefined
        return value && value.stamp !== claim.value.stamp ? { value, expiresAtMs: claim.expiresAtMs } : claim
      }),

    putMark: (key, mark) =>
      call(async (client) => {
        const number = Number(
          await runScript(client, MERGE_MARK, parts(key, mark.value.number, mark.expiresAtMs)),
        )
        return number === mark.value.number ? mark : { ...mark, value: { kind: 'mark', number } }
      }),

    putMembers: (key, members) => call((client) => mergeMembers(client, key, members)),

    hit: (key, hit) =>
      call(async (client) => {
        const { id, nowMs, limit, windowMs, cost = 1 } = hit
        const [allowed, count, leaves, grows] = (await runScript(
          client,
          HIT,
          parts(key, nowMs, limit, windowMs, id, cost),
        )) as [number, number, Buffer, Buffer]
        const leavesMs = Number(leaves) < 0 ? undefined : Number(leaves)
        return hitResult({ allowed: allowed === 1, count, leavesMs, growsMs: Number(grows) }, hit)
      }),

    raise: (key, fields, floor) =>
      call(async (client) => Number(await runScript(client, RAISE, parts(key, floor, ...fields)))),

    generations: (key) =>
      call(async (client) => {
        const fields = await client.hGetAll(own(key))
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

    life: () =>
      call(async (client) => {
        const [epoch, offset] = await Promise.all([client.get(own(keys.epoch)), client.get(own(keys.offset))])
        return { epoch: epoch?.toString(), offset: Number(offset ?? 0) }
      }),

    beginLife: (epoch, offset) =>
      call(async (client) => {
        await Promise.all([
          client.set(own(keys.epoch), epoch, { condition: 'NX' }),
          runScript(client, MERGE_MARK, parts(keys.offset, offset, FOR_EVER_MS)),
        ])
      }),

    advance: () => call((client) => client.incr(own(keys.offset))),
  }
}

function isSame(a: StateValue, b: StateValue): boolean {
  if (a.kind === 'mark' && b.kind === 'mark') return a.number === b.number
  return 'stamp' in a && 'stamp' in b && a.stamp === b.stamp
}
