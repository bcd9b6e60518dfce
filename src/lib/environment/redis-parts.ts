// Which Redis the variables name together: REDIS_URL, or the parts, or a URL that the parts complete.
import type { RedisHost, RedisTarget, RedisUrl } from '../redis-url.ts'
import { isLoopback } from '../redis-url.ts'
import { listed } from './other-names.ts'

export interface RedisValues {
  readonly REDIS_URL?: RedisUrl | { readonly isOff: true } | undefined
  readonly REDIS_HOST?: RedisHost | undefined
  readonly REDIS_PORT?: number | undefined
  readonly REDIS_DB?: number | undefined
  readonly REDIS_USERNAME?: string | undefined
  readonly REDIS_PASSWORD?: string | undefined
  readonly REDIS_TLS?: boolean | undefined
}

export interface NamedRedis {
  readonly main: RedisTarget | 'off'
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

export function redisOf(values: RedisValues): NamedRedis {
  const { REDIS_URL: url, REDIS_HOST: host } = values
  if (url && 'isOff' in url) return { main: 'off', problems: [], warnings: [] }
  const whole = url ?? host?.url
  const name = url ? 'REDIS_URL' : 'REDIS_HOST'
  const main = whole ? completed(whole.target, values) : fromParts(values)
  const isTlsHere = isLoopback(main) && 'tls' in main.at && main.at.tls
  return {
    main,
    problems: [
      ...(isTlsHere
        ? [
            `${whole ? `${name} must be redis://` : 'REDIS_TLS must be false'} for a Redis on this machine: the ` +
              'embedded one speaks no TLS',
          ]
        : []),
      ...(!url && host?.port !== undefined && (values.REDIS_PORT ?? host.port) !== host.port
        ? ['REDIS_HOST and REDIS_PORT name two ports: leave one out']
        : []),
      ...(!url && host?.url ? contradicting(overruled(main, { ...values, REDIS_HOST: undefined })) : []),
    ],
    warnings: [
      ...(whole ? unusedOf(name, whole.unused) : []),
      ...(!url && !host && values.REDIS_TLS
        ? ['REDIS_TLS is of no account without REDIS_HOST: the embedded Redis is on this machine']
        : []),
    ],
  }
}

const contradicting = (names: readonly string[]) =>
  names.length === 0
    ? []
    : [
        `REDIS_HOST is a whole URL, and ${listed(names)} ${names.length > 1 ? 'say' : 'says'} something else: ` +
          'write all of it into REDIS_URL',
      ]

export const unusedOf = (name: string, parameters: readonly string[]) =>
  parameters.length === 0 ? [] : [`${name}: of no account here, but for other clients: ${listed(parameters)}`]

/** A URL wins; it lacks a password where that is kept apart, as a secret. */
function completed(
  target: RedisTarget,
  { REDIS_PASSWORD: password, REDIS_USERNAME: username }: RedisValues,
): RedisTarget {
  if (target.password || !password) return target
  return { ...(username && { username }), ...target, password }
}

function fromParts(values: RedisValues): RedisTarget {
  const { REDIS_HOST: host } = values
  return {
    at: {
      host: host?.host ?? 'localhost',
      port: host?.port ?? values.REDIS_PORT ?? 6379,
      tls: (host !== undefined && values.REDIS_TLS) ?? false,
    },
    database: values.REDIS_DB ?? 0,
    ...(values.REDIS_USERNAME && { username: values.REDIS_USERNAME }),
    ...(values.REDIS_PASSWORD && { password: values.REDIS_PASSWORD }),
  }
}

/** The parts that say something else than the URL which wins over them. */
export function overruled(target: RedisTarget, { REDIS_HOST: host, ...values }: RedisValues): string[] {
  const { at } = target
  if ('path' in at) return []
  return [
    ...(host && (host.url ?? host.host !== at.host) ? ['REDIS_HOST'] : []),
    ...((values.REDIS_PORT ?? at.port) !== at.port ? ['REDIS_PORT'] : []),
    ...((values.REDIS_DB ?? target.database) !== target.database ? ['REDIS_DB'] : []),
    ...((values.REDIS_USERNAME ?? target.username) !== target.username ? ['REDIS_USERNAME'] : []),
    ...((values.REDIS_PASSWORD ?? target.password) !== target.password ? ['REDIS_PASSWORD'] : []),
    ...((values.REDIS_TLS ?? at.tls) !== at.tls ? ['REDIS_TLS'] : []),
  ]
}
