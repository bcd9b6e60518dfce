// Writes of the state role that meet what is in Redis: merges, updates and claims. Where that is damaged it counts as
// absent: it is replaced by the version that is known here, or deleted, and the write is tried again.
import { corrupt } from '../../../lib/codec.ts'
import { RedisUnavailable } from '../../errors.ts'
import type { RedisClient } from '../../redis/connection.ts'
import { CLAIM, type FirstWriteWinsRegister } from '../kinds/first-write-wins-register.ts'
import { isTwin, kinds, type StateValue, type VersionedEntry } from '../kinds/kinds.ts'
import { headOf, type LwwRegister, REPLACE } from '../kinds/lww-register.ts'
import { encodeTimestamped } from '../kinds/timestamped.ts'
import type { createRedisStateKeys } from '../redis-state-keys.ts'
import type { RedisRepair } from './redis-repair.ts'

const MOST_TRIES = 3 // each removes what the one before has met

/** What a merge met under the key: the claim that was there, or what was damaged, and is gone now. */
export type Before = FirstWriteWinsRegister | 'foreign' | 'corrupt' | undefined

export interface RedisWritesOptions extends Pick<ReturnType<typeof createRedisStateKeys>, 'run'> {
  repair: RedisRepair
  /** A sound value is of the same time and writer as ours, and not the same. */
  twin: (key: string) => void
  leftMs: (expiresAtMs: number) => number
}

export function createRedisWrites({ run, repair, twin, leftMs }: RedisWritesOptions) {
  /** Merges; damaged bytes count as absent. Whether the version given won, and what was there. */
  async function mergeInto(
    client: RedisClient,
    key: string,
    { value, expiresAtMs }: VersionedEntry,
  ): Promise<{ won: boolean; before: Before }> {
    const { script, toArguments } = kinds[value.kind]
    let before: Before
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const args = [leftMs(expiresAtMs), ...toArguments(value, key)]
      const { reply, replaced } = await run(client, script, key, ...args)
      if (replaced) before = 'foreign'
      if (!Array.isArray(reply)) return { won: true, before }
      const [won, there] = reply as [number, Buffer]
      const found = await repair.judge(client, key, value.kind, there)
      if (found === corrupt) before = 'corrupt'
      else if (found.kind === 'first-write-wins-register') before = found
      if (found !== corrupt && isTwin(found, value)) twin(key)
      // As another release has written it.
      const isOurs = found !== corrupt && isSameVersion(found, value)
      if (won === 0 && isOurs) await repair.rewrite(client, key, there, value)
      if (won === 1 || isOurs) return { won: true, before }
      if (found !== corrupt) return { won: false, before }
    }
    return { won: false, before }
  }

  async function replaceIn(
    client: RedisClient,
    key: string,
    { value, expiresAtMs }: VersionedEntry<LwwRegister>,
    expected: string,
  ): Promise<boolean> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const args = [leftMs(expiresAtMs), encodeTimestamped(value), expected]
      const { reply } = await run(client, REPLACE, key, ...args)
      if (reply === 1) return true
      const [, there] = reply as [number, Buffer]
      if (there.length === 0) return false
      const found = await repair.judge<LwwRegister>(client, key, 'lww-register', there)
      if (found !== corrupt && headOf(found) !== expected) return false
      if (found !== corrupt) await repair.rewrite(client, key, there, found) // as another release has written it
    }
    return false
  }

  async function claimIn(client: RedisClient, key: string, claim: VersionedEntry<FirstWriteWinsRegister>) {
    const mine = encodeTimestamped(claim.value)
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const { reply } = await run(client, CLAIM, key, leftMs(claim.expiresAtMs), mine)
      const there = reply as Buffer
      if (there.equals(mine)) return claim
      const value = await repair.judge<FirstWriteWinsRegister>(
        client,
        key,
        'first-write-wins-register',
        there,
      )
      if (value !== corrupt) return { value, expiresAtMs: claim.expiresAtMs }
    }
    throw new RedisUnavailable('slow', `${key} is damaged in Redis again and again`)
  }

  return { mergeInto, replaceIn, claimIn }
}

const isSameVersion = (a: StateValue, b: StateValue) =>
  'timestamp' in a && 'timestamp' in b && a.timestamp === b.timestamp
