// Values in Redis that are not what was written: the version that is known here takes the place of exactly those
// bytes, or nothing does. And those of the release before, which have no checksum: they are given one.
import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import type { RedisClient } from '../../redis/connection.ts'
import { kinds, type StateValue, type VersionedEntry } from '../kinds/kinds.ts'
import type { createRedisStateKeys } from '../redis-state-keys.ts'
import { DROP_ENTRIES, SWAP } from '../state-scripts.ts'

export interface RedisRepairOptions extends Pick<ReturnType<typeof createRedisStateKeys>, 'run'> {
  known: (key: string) => VersionedEntry | undefined
  corrupt: (key: string, met: 'read' | 'written') => void
  leftMs: (expiresAtMs: number) => number
}

export function createRedisRepair({ run, known, corrupt: tell, leftMs }: RedisRepairOptions) {
  const KEEP = 0

  function bytesOf(key: string, value: StateValue): Buffer | '' {
    const { inRedis } = kinds[value.kind]
    return inRedis.type === 'string' ? inRedis.encode(value, key) : ''
  }

  return {
    /** What a write has met under its key; where that is damaged it is gone afterwards, and is told of. */
    async judge<V extends StateValue>(
      client: RedisClient,
      key: string,
      kind: V['kind'],
      there: Buffer,
    ): Promise<V | Corrupt> {
      const { inRedis } = kinds[kind]
      const found = inRedis.type === 'string' ? inRedis.decode(there, key) : corrupt
      if (found !== corrupt) return found as V
      const here = known(key)
      tell(key, 'written')
      const sound = here?.value.kind === kind ? here : undefined
      const bytes = sound ? bytesOf(key, sound.value) : ''
      await run(client, SWAP, key, there, bytes, sound ? leftMs(sound.expiresAtMs) : KEEP)
      return corrupt
    },

    /** The same value, as this release writes it. */
    async rewrite(client: RedisClient, key: string, there: Buffer, value: StateValue): Promise<void> {
      await run(client, SWAP, key, there, bytesOf(key, value), KEEP)
    },

    /** Of a set: its entries with their checksums. */
    async rewriteSet(client: RedisClient, key: string, { value, expiresAtMs }: VersionedEntry) {
      const { script, toArguments } = kinds[value.kind]
      await run(client, script, key, leftMs(expiresAtMs), ...toArguments(value, key))
    },

    /** Drops these entries of a set, and tells of them. */
    async dropEntries(client: RedisClient, key: string, entries: readonly (readonly [Buffer, number])[]) {
      tell(key, 'read')
      await run(client, DROP_ENTRIES, key, ...entries.flat())
    },
  }
}

export type RedisRepair = ReturnType<typeof createRedisRepair>
