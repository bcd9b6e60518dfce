// A session that is read again is not decoded again, and no request sees what another one has changed in its own.
import type { SessionData } from 'express-session'
import { createDecodedRecords } from '../../src/features/sessions/decoded-records.ts'
import { encodeRecord, type SessionRecord } from '../../src/features/sessions/session-record.ts'
import type { SessionRecords } from '../../src/features/sessions/session-records.ts'
import { createSessionStore } from '../../src/features/sessions/session-store.ts'
import { copyOfJson } from '../../src/lib/codec.ts'
import { MINUTE } from '../../src/lib/time.ts'

const user = { id: 'telegram:1', name: 'Anna' }
const recordOf = (extra: object = {}, seenAtMs = 1_000_000): SessionRecord => ({
  createdAtMs: 0,
  seenAtMs,
  fields: { cookie: { originalMaxAge: 14 * 24 * 60 * MINUTE }, user, cart: { items: [{ n: 1 }] }, ...extra },
})

test('one version is decoded once; another one, or one of a damaged shape, is not taken for it', () => {
  const decoded = createDecodedRecords()
  const bytes = encodeRecord(recordOf())
  const first = decoded.of('a', bytes)
  expect(first).toEqual(recordOf())
  expect(decoded.of('a', bytes)).toBe(first)
  expect(decoded.of('b', bytes)).not.toBe(first)
  expect(decoded.of('a', encodeRecord(recordOf({ device: 'Firefox' })))?.fields.device).toBe('Firefox')
  expect(decoded.of('a', bytes)).toEqual(recordOf())
  for (const broken of [{ cookie: undefined }, { user: { id: 1, name: 'x' } }, { loggedInAtMs: 'now' }])
    expect(decoded.of('a', encodeRecord(recordOf(broken)))).toBeUndefined()
  expect(decoded.of('a', Buffer.from('{'))).toBeUndefined()
})

test('of more than a thousand sessions the one decoded longest ago is decoded again', () => {
  const decoded = createDecodedRecords()
  const bytes = encodeRecord(recordOf())
  const first = decoded.of('0', bytes)
  for (let i = 1; i < 1_000; i += 1) decoded.of(String(i), bytes)
  expect(decoded.of('0', bytes)).toBe(first)
  decoded.of('1000', bytes)
  expect(decoded.of('0', bytes)).not.toBe(first)
})

test('a large session is not kept', () => {
  const decoded = createDecodedRecords()
  const bytes = encodeRecord(recordOf({ cart: 'x'.repeat(9_000) }))
  expect(decoded.of('a', bytes)).toEqual(decoded.of('a', bytes))
  expect(decoded.of('a', bytes)).not.toBe(decoded.of('a', bytes))
})

test('a copy of JSON shares nothing, and an own __proto__ stays a name', () => {
  const json = JSON.parse('{"a":[{"b":null},[1,"x",true]],"__proto__":{"admin":true}}')
  const copy = copyOfJson(json)
  expect(JSON.stringify(copy)).toBe(JSON.stringify(json))
  expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
  copy.a[0].b = 'changed'
  copy.a[1].push(2)
  expect(JSON.stringify(json)).toContain('[{"b":null},[1,"x",true]]')
})

function openStore(record: SessionRecord) {
  const rewritten: string[] = []
  const records = {
    find: async () => ({ record, timestamp: '1' }),
    async rewrite(_hash: string, _known: unknown, change: (found: SessionRecord) => SessionRecord) {
      rewritten.push('once')
      return change(record)
    },
  } as unknown as SessionRecords
  const store = createSessionStore({ records, now: () => 1_000_000 })
  const get = () =>
    new Promise<SessionData & Record<string, unknown>>((resolve, reject) =>
      store.get('id', (error, data) => (error || !data ? reject(error) : resolve(data as never))),
    )
  return { store, get, rewritten }
}

test('what one request changes in its session, another one of the same version does not see', async () => {
  const record = recordOf()
  const { get } = openStore(record)
  const [mine, others] = [await get(), await get()]
  Object.assign(mine.user as object, { name: 'Mallory' })
  ;(mine.cart as { items: unknown[] }).items.push('more')
  expect(others.user).toEqual(user)
  expect(others.cart).toEqual({ items: [{ n: 1 }] })
  expect(record).toEqual(recordOf())
})

test('a session that was seen a moment ago is touched in the same turn; another one is written first', async () => {
  const fresh = openStore(recordOf())
  const data = await fresh.get()
  let isTouched = false
  fresh.store.touch?.('id', data, () => {
    isTouched = true
  })
  expect(isTouched).toBe(true)
  expect(fresh.rewritten).toEqual([])

  const old = openStore(recordOf({}, 1_000_000 - MINUTE))
  const oldData = await old.get()
  await new Promise<void>((resolve) => void old.store.touch?.('id', oldData, () => resolve()))
  expect(old.rewritten).toEqual(['once'])
})
