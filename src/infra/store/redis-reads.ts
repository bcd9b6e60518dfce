// Reads of the same tick travel as one MGET under one deadline: most of what a read costs is not the server's part. They
// may be of several requests, each of which waits no longer than it may.
import { startWaiting, unlimited } from '../../lib/waiting-budget.ts'
import type { RedisConnection } from '../redis.ts'
import { spent } from './store.ts'

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
    for (let i = 0; i < batch.length; i += MOST) {
      void unlimited(() => read(batch.slice(i, i + MOST)))
    }
  }

  async function read(batch: readonly Waiting[]): Promise<void> {
    try {
      const values = await connection.call((client) => client.mGet(batch.map(({ key }) => key)))
      for (const [i, { resolve }] of batch.entries()) resolve(values[i] ?? undefined)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  return (key) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) queueMicrotask(flush)
      const settle = startWaiting(() => reject(spent()))
      waiting.push({
        key,
        resolve(value) {
          settle()
          resolve(value)
        },
        reject(error) {
          settle()
          reject(error)
        },
      })
    })
}
