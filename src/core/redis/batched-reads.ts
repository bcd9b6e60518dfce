// Reads of the same tick travel as one MGET under one deadline: most of what a read costs is not the server's part. They
// may be of several requests, none of which waits longer than it may.

import { waitFor, withoutDeadline } from '../../lib/request-deadline.ts'
import { deadlineExceeded } from '../errors.ts'
import type { RedisConnection } from './connection.ts'

const MOST = 500

interface Waiting {
  readonly key: string
  readonly resolve: (value: Buffer | undefined) => void
  readonly reject: (error: unknown) => void
}

/** The bytes under a key, with its prefix; rejects as `connection.call` does. */
export type ReadBytes = (key: string) => Promise<Buffer | undefined>

export function createReads(connection: Pick<RedisConnection, 'call'>): ReadBytes {
  let waiting: Waiting[] = []

  function flush(): void {
    const batch = waiting
    waiting = []
    for (let i = 0; i < batch.length; i += MOST) void read(batch.slice(i, i + MOST))
  }

  async function read(batch: readonly Waiting[]): Promise<void> {
    try {
      const names = batch.map(({ key }) => key)
      const values = await withoutDeadline(() => connection.call((client) => client.mGet(names)))
      for (const [i, { resolve }] of batch.entries()) resolve(values[i] ?? undefined)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  return (key) => {
    const value = new Promise<Buffer | undefined>((resolve, reject) => {
      if (waiting.length === 0) queueMicrotask(flush)
      waiting.push({ key, resolve, reject })
    })
    return waitFor(value, deadlineExceeded)
  }
}
