// How PostgreSQL is reached by TLS: what pg is given for each of libpq's modes.
import type pg from 'pg'
import type { PostgresTarget, PostgresTls } from '../lib/postgres-url.ts'

const CHECKS: Record<Exclude<PostgresTls, 'off'>, object> = {
  preferred: { rejectUnauthorized: false },
  encrypted: { rejectUnauthorized: false },
  'verified-authority': { rejectUnauthorized: true, checkServerIdentity: () => undefined },
  verified: { rejectUnauthorized: true },
}

/** Everything of the target that pg wants to know, in its own words. */
export function settingsOf({ tls, ca, client, channelBinding, ...place }: PostgresTarget): pg.PoolConfig {
  return {
    ...place,
    ssl: tls === 'off' ? false : { ...CHECKS[tls], ...(ca !== undefined && { ca }), ...client },
    ...(channelBinding && { enableChannelBinding: true }),
  }
}

/**
 * Runs the call, and where TLS is only preferred and the server speaks none, once more without it, as libpq does. pg
 * knows no such mode; its pool reads its options for each connection.
 */
export function inPreferredWay(target: PostgresTarget, pool: () => { options: pg.PoolOptions }) {
  const { ssl } = settingsOf(target)
  return async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call()
    } catch (error) {
      if (target.tls !== 'preferred') throw error
      const hasNone = /does not support SSL/.test(String((error as Error).message))
      pool().options.ssl = hasNone ? false : ssl // after any other failure the next connection asks for TLS again
      if (!hasNone) throw error
      return await call()
    }
  }
}
