// Whether a Redis that answers can be used.

import { randomUUID } from 'node:crypto'
import { SECOND } from '../../lib/time.ts'
import { RedisUnavailable } from '../errors.ts'
import type { RedisConnection } from './connection.ts'

/**
 * Writes, reads back and deletes, so that a read-only or a full server is not taken for a healthy one.
 * Rejects with RedisUnavailable when it is not. Nobody else may use the key.
 */
export async function probeRedis(connection: RedisConnection, key: string): Promise<void> {
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
