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
 * Runs the call, and where TLS is only preferred and does not come about, once more without it, as libpq does. pg knows
 * no such mode; its pool reads its options for each connection.
 */
export function inPreferredWay(target: PostgresTarget, pool: () => { options: pg.PoolOptions }) {
  const { ssl } = settingsOf(target)
  return async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call()
    } catch (error) {
      if (target.tls !== 'preferred') throw error
      const isForTls = isTlsRefused(error)
      pool().options.ssl = isForTls ? false : ssl // after any other failure the next connection asks for TLS again
      if (!isForTls) throw error
      return await call()
    }
  }
}

const NO_TLS = /does not support SSL/
const NO_LINE = /pg_hba\.conf.*, SSL encryption$/

/** The server has none, has no line for connections by TLS in its pg_hba.conf, or has one that is too old for us. */
function isTlsRefused(error: unknown): boolean {
  const { message, code } = said(error)
  return NO_TLS.test(message) || NO_LINE.test(message) || /^(ERR_SSL_|EPROTO$)/.test(code)
}

const UNKNOWN_AUTHORITY = [
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_GET_ISSUER_CERT'],
  ...['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
]

/** What the error says, and what to do about it where that is known. An error of several addresses has no message. */
export function reasonOf(error: unknown): string {
  const { message, code } = said(error)
  const remedy = remedyOf(message, code)
  const plain = message.replace(/; if the root CA is installed locally.*$/s, '') || code // a flag of Node's
  return remedy ? `${plain}: ${remedy}` : plain
}

function remedyOf(message: string, code: string): string | undefined {
  if (NO_TLS.test(message)) return 'it has no TLS, which sslmode asks for'
  if (UNKNOWN_AUTHORITY.includes(code))
    return 'its certificate is of no authority that is known here: name the file of its authority in sslrootcert'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'its certificate is for another host: sslmode=verify-ca looks at its authority alone'
  if (/pg_hba\.conf.*, no encryption$/.test(message))
    return 'where it takes connections by TLS only: sslmode=require'
  return undefined
}

const said = (error: unknown) => {
  const { message, code, cause } = (error ?? {}) as {
    message?: unknown
    code?: unknown
    cause?: { code?: unknown }
  }
  return { message: String(message ?? ''), code: String(code ?? cause?.code ?? '') } // DatabaseAway: in its cause
}
