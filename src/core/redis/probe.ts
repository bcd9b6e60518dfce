// Whether a Redis that answers can be used.

import { randomUUID } from 'node:crypto'
import { SECOND } from '../../lib/time.ts'
import { RedisUnavailable } from '../errors.ts'
import type { RedisConnection } from './connection.ts'
import { describeMissing, FIND_MISSING } from './needed-commands.ts'

export interface Probe {
  /** Rejects with RedisUnavailable when it cannot. */
  run(): Promise<void>
  /** It has refused something: the next run asks for all commands again. */
  doubt(): void
}

export interface ProbeOptions {
  connection: RedisConnection
  /** Nobody else may use the key. */
  key: string
  /** What the role sends, as in needed-commands.ts. */
  commands: readonly string[]
}

/** Writes, reads back and deletes, so that a read-only or a full server is not taken for a healthy one. */
export function createProbe({ connection, key, commands }: ProbeOptions): Probe {
  let hasAll = commands.length === 0

  async function writeAndRead(): Promise<void> {
    const written = randomUUID()
    const read = await connection.call(async (client) => {
      const [, value] = await Promise.all([
        client.set(key, written, { PX: 10 * SECOND }),
        client.get(key),
        client.unlink(key),
      ])
      return value?.toString()
    })
    if (read !== written) throw new RedisUnavailable('refused', 'it did not keep what was written')
  }

  async function findMissing(): Promise<void> {
    const reply = await connection.call((client) =>
      client.eval(FIND_MISSING, { keys: [key], arguments: [...commands] }),
    )
    const missing = describeMissing((reply as unknown as Buffer[]).map(String))
    if (missing) throw new RedisUnavailable('refused', missing)
  }

  return {
    async run() {
      await writeAndRead()
      if (hasAll) return
      await findMissing()
      hasAll = true
    },
    doubt() {
      hasAll = commands.length === 0
    },
  }
}
