// Reads of the same tick are sent as one MGET under one deadline: most of a read's cost is not the server's. They may
// belong to several requests; none of them waits longer than its own deadline.

import { waitFor, withoutDeadline } from '../../lib/async/request-deadline.ts'
import { deadlineExceeded, RedisUnavailable } from '../errors.ts'
import type { RedisConnection } from './connection.ts'

const BATCH = 500
/** Reads without an answer. More are rejected as `slow`: Redis does not keep up. */
export const MOST_READS = 100_000

interface PendingRead {
  readonly key: string
  readonly resolve: (value: Buffer | undefined) => void
  readonly reject: (error: unknown) => void
}

/** The bytes under a key, with its prefix; rejects as `connection.call` does. */
export type ReadBytes = (key: string) => Promise<Buffer | undefined>

export function createReads(connection: Pick<RedisConnection, 'call'>): ReadBytes {
  let queue: PendingRead[] = [] // of this tick
  let pending = 0 // with those that have been sent

  function flush(): void {
    const reads = queue
    queue = []
    for (let i = 0; i < reads.length; i += BATCH) void read(reads.slice(i, i + BATCH))
  }

  async function read(batch: readonly PendingRead[]): Promise<void> {
    try {
      const names = batch.map(({ key }) => key)
      const values = await withoutDeadline(() => connection.call((client) => client.mGet(names)))
      for (const [i, { resolve }] of batch.entries()) resolve(values[i] ?? undefined)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      pending -= batch.length
    }
  }

  return (key) => {
    if (pending >= MOST_READS)
      return Promise.reject(new RedisUnavailable('slow', `${MOST_READS} reads wait for an answer`))
    pending += 1
    const value = new Promise<Buffer | undefined>((resolve, reject) => {
      if (queue.length === 0) queueMicrotask(flush)
      queue.push({ key, resolve, reject })
    })
    return waitFor(value, deadlineExceeded)
  }
}
