// Where a Redis is, as a URL says it: redis://[user:password@]host[:port][/database], rediss:// or unix:///path.

/** Where one Redis is and how to get in. */
export interface RedisTarget {
  readonly at:
    | { readonly path: string }
    | { readonly host: string; readonly port: number; readonly tls: boolean }
  readonly database: number
  readonly username?: string
  readonly password?: string
}

/** The target a URL names, or a sentence about its form. www.iana.org/assignments/uri-schemes/prov/redis */
export function parseRedisUrl(value: string): RedisTarget | string {
  if (value.startsWith('unix://')) return { at: { path: value.slice('unix://'.length) }, database: 0 }
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (!url || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || !url.hostname) {
    return 'must look like redis://[user:password@]host[:port][/database] or rediss://…'
  }
  const database = url.pathname.replace(/^\//, '') || '0'
  if (!/^\d{1,3}$/.test(database)) return 'must end with a database number, such as /0'
  const decoded = decodeUserInfo(url)
  if (!decoded) return 'has a user or password with a stray %: write it as %25'
  return {
    at: {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port ? Number(url.port) : 6379,
      tls: url.protocol === 'rediss:',
    },
    database: Number(database),
    ...decoded,
  }
}

function decodeUserInfo(url: URL): { username?: string; password?: string } | undefined {
  try {
    return {
      ...(url.username && { username: decodeURIComponent(url.username) }),
      ...(url.password && { password: decodeURIComponent(url.password) }),
    }
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

/** Whether the target is on this machine. */
export function isLoopback({ at }: RedisTarget): boolean {
  return 'path' in at || /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(at.host)
}
