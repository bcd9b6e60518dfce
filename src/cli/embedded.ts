// What the image asks before it starts anything: is the configuration usable, and which Redis servers are wanted.
// Prints the variant, then the lines of redis.conf that the cache server takes from REDIS_URL. They hold the
// password, so the entry point keeps them in a file that only it and Redis can read.
import { features } from '../app.ts'
import { InvalidEnvironment, readConfig } from '../config.ts'

/** Everything but what changes or ends the server itself; image/redis-state.conf has the same. */
const RIGHTS = '~* &* +@all -config -debug -shutdown -module -replicaof -slaveof -acl'

/** The lines of redis.conf that make the cache server answer where, and to whom, the configuration says. */
function serverLines({ redis: { cache } }: ReturnType<typeof readConfig>): string[] {
  if (!cache) return []
  if ('path' in cache.at)
    throw new InvalidEnvironment(['REDIS_URL must name a host and a port inside the image'])
  const lines = [`port ${cache.at.port}`]
  if (cache.database > 15) lines.push(`databases ${cache.database + 1}`)
  if (cache.username && cache.username !== 'default') {
    const password = cache.password ? quoted(`>${cache.password}`) : 'nopass'
    lines.push(`user ${quoted(cache.username)} on ${password} ${RIGHTS}`, 'user default off')
  } else {
    const password = cache.password ? quoted(`>${cache.password}`) : 'nopass'
    lines.push(`user default on ${password} ${RIGHTS}`)
  }
  return lines
}

// redis.conf knows \xHH inside double quotes, which covers quotes, backslashes and line breaks alike.
function quoted(value: string): string {
  const bytes = [...Buffer.from(value)]
  return `"${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
}

try {
  const config = readConfig(features)
  const lines = config.mode === 'embedded' ? serverLines(config) : []
  process.stdout.write(`${[config.mode, ...lines].join('\n')}\n`)
} catch (error) {
  if (!(error instanceof InvalidEnvironment)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 78
}
