// Our own Redis of the state role carries the installation's id and generation, too: so it is noticed when the files of
// the data directory are of an earlier time than it, or of another installation. What it has lost itself, the epoch
// tells (state/merge/redis-epoch.ts).
import type { RedisConnection } from '../redis/connection.ts'
import type { Installation } from './installation.ts'

export interface RedisMarkOptions {
  connection: Pick<RedisConnection, 'call'>
  key: string
  installation: Installation
}

/** Compares what Redis says with the files, and writes there what they say now. Rejects as the connection does. */
export async function compareMark({ connection, key, installation }: RedisMarkOptions): Promise<void> {
  const id = installation.id()
  const generation = installation.generation()
  const run = installation.run()
  const before = await connection.call((client) =>
    client.set(key, `${id} ${generation} ${run}`, { GET: true }),
  )
  const [foundId = '', found = '0', foundRun] = String(before ?? '').split(' ')
  const isAhead = Number(found) > generation || (Number(found) === generation && foundRun !== run)
  if (foundId === '' || (foundId === id && !isAhead)) return
  const problem = foundId === id ? 'older' : 'foreign'
  const message =
    problem === 'older'
      ? 'the files of the data directory are of an earlier time than Redis, which holds the state: both are merged. ' +
        'Lost: what was in files alone, above all alerts of users and jobs'
      : 'Redis, which holds the state, and the files of the data directory belong to two installations: both are merged'
  installation.alerts.raise({ file: 'redis-state', problem, message })
}
