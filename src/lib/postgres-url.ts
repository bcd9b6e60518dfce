// Where a PostgreSQL is, as a URL says it: postgres://user[:password]@host[:port]/database[?sslmode=…].

/** `encrypted`: any certificate, as libpq's `require`. `verified-authority`: of any host. `verified`: of this one. */
export type PostgresTls = 'off' | 'encrypted' | 'verified-authority' | 'verified'

export interface PostgresTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password?: string
  readonly database: string
  readonly tls: PostgresTls
}

const MODES: ReadonlyMap<string, PostgresTls> = new Map([
  ['disable', 'off'],
  ['require', 'encrypted'],
  ['verify-ca', 'verified-authority'],
  ['verify-full', 'verified'],
])

/**
 * The target a URL names, or a sentence about what it must look like. Other parameters are left to the libraries they
 * were written for. www.postgresql.org/docs/current/libpq-connect.html
 */
export function parsePostgresUrl(value: string): PostgresTarget | string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const isOne = url && ['postgres:', 'postgresql:'].includes(url.protocol)
  if (!isOne || !url.hostname || !url.username || !/^\/[^/]+$/.test(url.pathname)) {
    return 'must look like postgres://user:password@host[:port]/database[?sslmode=require]'
  }
  const tls = MODES.get(url.searchParams.get('sslmode') ?? 'disable')
  if (!tls) return `has an sslmode that is not one of ${[...MODES.keys()].join(', ')}`
  try {
    return {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port ? Number(url.port) : 5432,
      user: decodeURIComponent(url.username),
      ...(url.password && { password: decodeURIComponent(url.password) }),
      database: decodeURIComponent(url.pathname.slice(1)),
      tls,
    }
  } catch (error) {
    if (error instanceof URIError) return 'has a user, password or database with a stray %: write it as %25'
    throw error
  }
}
