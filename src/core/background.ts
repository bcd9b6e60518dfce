// The one place where a promise is let go.
import type { Log } from '../log.ts'
import { isHandingOver, RedisUnavailable } from './errors.ts'

/**
 * Work in the background, which never rejects: that Redis goes away is the failover's business, and a bug must not
 * end the process.
 */
export async function inBackground(work: Promise<void>, log: Log): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof RedisUnavailable || isHandingOver(error)))
      log.error({ err: error }, 'unexpected error in a background task (please report it)')
  }
}
