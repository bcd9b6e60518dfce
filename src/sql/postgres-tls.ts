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
export function inPreferredWay({ tls }: PostgresTarget, pool: () => { options: pg.PoolOptions }) {
  return async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call()
    } catch (error) {
      if (tls !== 'preferred' || !/does not support SSL/.test(String((error as Error).message))) throw error
      pool().options.ssl = false
      return await call()
    }
  }
}
