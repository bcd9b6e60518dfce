// What other hosts and programs call the things that have a name of ours. Nothing is read from them: what they hold may
// be something else. Whoever has set one and not ours is told.

/** By our name: theirs, in the order in which they are named. `*` is any text without an end. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  REDIS_URL: [
    ...[
      'REDISCLOUD_URL',
      'REDIS_TLS_URL',
      'KV_URL',
      'UPSTASH_REDIS_URL',
      'UPSTASH_REDIS_REST_URL',
      'KV_REST_API_URL',
    ],
    ...['REDISTOGO_URL', 'REDISGREEN_URL', 'OPENREDIS_URL', 'STACKHERO_REDIS_URL_TLS', 'HEROKU_REDIS_*_URL'],
    ...['REDIS_PRIVATE_URL', 'REDIS_PUBLIC_URL', 'REDISHOST', 'REDIS_URI', 'REDIS_CONNECTION_STRING'],
    ...['REDIS_DSN', 'REDIS_SERVER', 'REDIS_ENDPOINT', 'REDIS_ADDR', 'REDIS_ADDRESS', 'REDIS_HOSTNAME'],
    ...[
      'REDIS_CACHE_URL',
      'REDIS_SENTINELS',
      'REDIS_CLUSTER_NODES',
      'SPRING_REDIS_HOST',
      'SPRING_DATA_REDIS_HOST',
    ],
    ...[
      'SPRING_DATA_REDIS_URL',
      'VALKEY_URL',
      'VALKEY_HOST',
      'FLY_REDIS_CACHE_URL',
      'AZURE_REDIS_CONNECTIONSTRING',
    ],
    ...['CACHE_URL', 'CACHE_REDIS_URL', 'CELERY_BROKER_URL'],
    ...['SCALINGO_REDIS_URL', 'REDIS_DIRECT_URI', 'REDIS_MASTER_URL'],
  ],
  REDIS_PORT: ['REDISPORT'],
  REDIS_USERNAME: ['REDIS_USER', 'REDISUSER'],
  REDIS_PASSWORD: [
    'REDIS_PASS',
    'REDIS_AUTH',
    'REDISPASSWORD',
    'REDISCLI_AUTH',
    'REDIS_SECRET',
    'REDIS_TOKEN',
  ],
  REDIS_DB: ['REDIS_DATABASE', 'REDIS_DB_INDEX', 'REDIS_INDEX'],
  REDIS_TLS: ['REDIS_SSL', 'REDIS_USE_TLS', 'REDIS_USE_SSL', 'REDIS_TLS_ENABLED'],
  DATABASE_URL: [
    ...[
      'POSTGRES_URL',
      'POSTGRES_PRISMA_URL',
      'POSTGRES_URL_NON_POOLING',
      'POSTGRESQL_URL',
      'PG_URL',
      'DB_URL',
    ],
    ...['DATABASE_PRIVATE_URL', 'DATABASE_PUBLIC_URL', 'DATABASE_URI', 'POSTGRES_URI', 'PG_URI', 'PGHOST'],
    ...[
      'POSTGRES_CONNECTION_STRING',
      'POSTGRESQL_ADDON_URI',
      'SCALINGO_POSTGRESQL_URL',
      'DATABASE_URL_UNPOOLED',
    ],
    ...['NEON_DATABASE_URL', 'SUPABASE_DB_URL', 'HEROKU_POSTGRESQL_*_URL', 'DIRECT_URL', 'POSTGRES_HOST'],
  ],
  SUPABASE_URL: [
    'NEXT_PUBLIC_SUPABASE_URL',
    'VITE_SUPABASE_URL',
    'REACT_APP_SUPABASE_URL',
    'NUXT_PUBLIC_SUPABASE_URL',
  ],
  SUPABASE_ANON_KEY: [
    ...[
      'SUPABASE_KEY',
      'NEXT_PUBLIC_SUPABASE_ANON_KEY',
      'VITE_SUPABASE_ANON_KEY',
      'SUPABASE_PUBLISHABLE_KEY',
    ],
    ...['NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY', 'NEXT_PUBLIC_SUPABASE_PUBLISHABLE_DEFAULT_KEY'],
    ...['VITE_SUPABASE_PUBLISHABLE_KEY', 'NUXT_PUBLIC_SUPABASE_KEY', 'REACT_APP_SUPABASE_ANON_KEY'],
    ...['SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_SERVICE_KEY', 'SUPABASE_SECRET_KEY', 'SUPABASE_PUBLIC_KEY'],
  ],
  TELEGRAM_BOT_TOKEN: [
    ...['BOT_TOKEN', 'TELEGRAM_TOKEN', 'TG_BOT_TOKEN', 'TG_TOKEN', 'TELEGRAM_APITOKEN', 'TELEGRAM_API_TOKEN'],
    ...['TELEGRAM_BOT_API_TOKEN', 'TOKEN_BOT'],
  ],
  COINGECKO_API_KEY: [
    ...['COINGECKO_DEMO_API_KEY', 'COINGECKO_PRO_API_KEY', 'COINGECKO_KEY', 'CG_API_KEY', 'CG_DEMO_API_KEY'],
    ...['CG_PRO_API_KEY', 'X_CG_DEMO_API_KEY', 'X_CG_PRO_API_KEY'],
  ],
  TRUST_PROXY: [
    'TRUSTED_PROXIES',
    'TRUSTED_PROXY',
    'TRUSTED_PROXY_IP',
    'TRUST_PROXIES',
    'FORWARDED_ALLOW_IPS',
  ],
}

/** Who shows, beside the address of HTTP, the one that is meant. */
const OF_HTTP = /_REST_(API_)?URL$/

/** Keys that may do everything there: not for a reader. */
const OF_OWNER = /^SUPABASE_(SERVICE|SECRET)_/

/** Whether the name is known to mean something of another program. */
export const isOtherName = (name: string) =>
  Object.values(OTHER_NAMES)
    .flat()
    .some((other) => matches(name, other))

/** Those of our names that have a value under others' names only: a hint for each. */
export function hintsFor(missing: readonly string[], set: readonly string[]): string[] {
  return missing.flatMap((ours) => {
    const theirs = OTHER_NAMES[ours] ?? []
    const all = theirs.flatMap((other) => set.filter((name) => matches(name, other)))
    const found = all.filter((name) => !OF_OWNER.test(name))
    if (all.length === 0) return []
    if (found.length === 0)
      return [
        `${listed(all)} ${all.length > 1 ? 'are' : 'is'} set and not read: what is needed here is the anon ` +
          `(publishable) key of the project, in ${ours}`,
      ]
    const [are, they] = found.length > 1 ? ['are', 'they hold'] : ['is', 'it holds']
    const isHttp = ours === 'REDIS_URL' && found.every((name) => OF_HTTP.test(name))
    const what = isHttp ? 'the rediss:// address that is shown beside it' : `what ${they}`
    return [`${listed(found)} ${are} set and not read: if that is meant here, give ${ours} ${what}`]
  })
}

function matches(name: string, other: string): boolean {
  const [begin = '', end] = other.split('*')
  if (end === undefined) return name === other
  return name.length > begin.length + end.length && name.startsWith(begin) && name.endsWith(end)
}

export const listed = (words: readonly string[]) =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
