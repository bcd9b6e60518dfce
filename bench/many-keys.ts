// Keys as the app stores them, written to a server by the thousand: what an app finds that starts over them.
import { encodeEntry } from '../src/core/cache/cache-entry.ts'
import { expiringSet, membersOf } from '../src/core/state/kinds/expiring-set.ts'
import { createHybridClock } from '../src/core/state/kinds/hybrid-clock.ts'
import { lwwRegisterOf } from '../src/core/state/kinds/lww-register.ts'
import { encodeTimestamped } from '../src/core/state/kinds/timestamped.ts'
import { sessionKeys } from '../src/features/sessions/session-keys.ts'
import { encodeRecord, expiresAtMs, hashOf } from '../src/features/sessions/session-record.ts'
import { HOUR } from '../src/lib/time.ts'
import type { RawClient } from './open-app-roles.ts'

const BATCH = 1_000
const STATE_PREFIX = 'samovar:state:'
const BODY = Buffer.alloc(400, 'x')

async function inBatches(count: number, write: (i: number) => Promise<unknown>[]): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => write(from + i))
    await Promise.all(batch.flat())
  }
}

/** Values of 558 bytes. */
export function fillCache(client: RawClient, count: number): Promise<void> {
  const times = { storedAtMs: Date.now(), freshUntilMs: Date.now() + HOUR, staleUntilMs: Date.now() + HOUR }
  const entry = encodeEntry({ generation: 0, ...times, etag: '"bench"', tags: [], absent: false }, BODY)
  return inBatches(count, (i) => [client.set(`bench:${i}`, entry, { PX: HOUR })])
}

/** Sessions of users who are logged in: two keys each. */
export function fillSessions(client: RawClient, count: number): Promise<void> {
  const clock = createHybridClock()
  return inBatches(count, (i) => {
    const atMs = Date.now()
    const record = {
      createdAtMs: atMs,
      seenAtMs: atMs,
      fields: {
        cookie: { originalMaxAge: 14 * 24 * HOUR, path: '/', httpOnly: true, sameSite: 'lax', secure: true },
        user: { id: `telegram:${i}`, name: `User ${i}`, username: `user${i}`, language: 'en' },
        loggedInAtMs: atMs,
        device: 'Chrome on Android',
        address: '203.0.113.7',
      },
    }
    const hash = hashOf(`bench ${i}`)
    const [key, index] = [sessionKeys.session(hash), sessionKeys.sessions(record.fields.user.id)]
    const leftMs = expiresAtMs(record) - atMs
    const value = lwwRegisterOf(key, { timestamp: clock.next(), bytes: encodeRecord(record) })
    const members = membersOf(index, [{ id: hash, untilMs: expiresAtMs(record) }])
    const [, untilMs, id] = expiringSet.toArguments(members, index)
    return [
      client.set(STATE_PREFIX + key, encodeTimestamped(value), { PX: leftMs }),
      client.zAdd(STATE_PREFIX + index, { score: Number(untilMs), value: String(id) }),
      client.pExpire(STATE_PREFIX + index, leftMs),
    ]
  })
}
