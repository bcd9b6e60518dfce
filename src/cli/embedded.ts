// What the image asks before it starts anything: is the configuration usable, how is the memory divided, and which
// Redis servers are wanted. Arguments: the container's memory limit (or nothing) and the machine's memory, in MiB.
// Prints assignments for the shell, in single quotes: every value as the app understands it, so that the image reads
// none of them itself. Some hold a password; the entry point keeps them in files that only it and Redis can read.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { features } from '../app.ts'
import { type Config, InvalidEnvironment, readConfig, readUserDir } from '../config.ts'
import { neededFor, sizesBesideServer, sizesOf } from '../lib/environment/image-sizes.ts'
import { volumeWarning } from '../lib/environment/mounts.ts'
import { portProblem } from '../lib/environment/port-problem.ts'
import { openUserFolder, type UserApp } from '../user/open-user-folder.ts'
import { portOf, serverEnvironment, serverProblems } from '../user/server.ts'

/** Everything but what changes or ends the server itself; image/redis-state.conf has the same. */
const RIGHTS = '~* &* +@all -config -debug -shutdown -module -replicaof -slaveof -acl'
/** Below it a user needs the capability NET_BIND_SERVICE. */
const FIRST_FREE_PORT = '/proc/sys/net/ipv4/ip_unprivileged_port_start'

/** The lines of redis.conf that make the cache server answer where, and to whom, the configuration says. */
function serverLines({ redis: { cache } }: Config): string[] {
  if (!cache) return []
  if ('path' in cache.at)
    throw new InvalidEnvironment(['REDIS_URL must name a host and a port inside the image'])
  const lines = [`port ${cache.at.port}`]
  if (cache.database > 15) lines.push(`databases ${cache.database + 1}`)
  const password = cache.password ? quoted(`>${cache.password}`) : 'nopass'
  if (cache.username && cache.username !== 'default') {
    lines.push(`user ${quoted(cache.username)} on ${password} ${RIGHTS}`, 'user default off')
  } else {
    lines.push(`user default on ${password} ${RIGHTS}`)
  }
  return lines
}

// redis.conf knows \xHH inside double quotes, which covers quotes, backslashes and line breaks alike.
function quoted(value: string): string {
  const bytes = [...Buffer.from(value)]
  return `"${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
}

/** Opens the port for a moment, as the app will: one sentence now instead of a stack for each attempt later. */
async function tryPort(port: number, host?: string): Promise<string | undefined> {
  const server = createServer()
  try {
    server.listen({ port, ...(host && { host }) })
    await once(server, 'listening')
  } catch (error) {
    return portProblem(port, (error as NodeJS.ErrnoException).code)
  } finally {
    server.close()
  }
  return undefined
}

function firstFreePort(): number {
  return Number(textOf(FIRST_FREE_PORT) || 1_024)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // not every machine has it; what would be said by it is not said
  }
}

/** As the app's own log writes it, which comes later, and once for each process. */
function warn({ level, format }: Config['log'], message: string): void {
  if (['error', 'fatal', 'silent'].includes(level)) return
  const line = { level: 'warn', time: new Date().toISOString(), msg: message }
  process.stderr.write(`${format === 'json' ? JSON.stringify(line) : `samovar: ${message}`}\n`)
}

const inShell = (values: Readonly<Record<string, string | number>>) =>
  Object.entries(values)
    .map(([name, value]) => `${name}='${String(value).replaceAll("'", `'\\''`)}'\n`)
    .join('')

async function answer([limit = '', host = '']: readonly string[], user: UserApp): Promise<string> {
  const config = readConfig([...features, ...user.features])
  user.tryTables(features, config)
  const { dataDir, mode } = config
  const { server } = user
  const isInstead = server?.mode === 'instead'
  const port = isInstead ? portOf(server, config) : config.port
  if (server) refuseAny(serverProblems(server, config))
  if (isInstead && user.features.length > 0)
    throw new InvalidEnvironment([
      `${server.file} says mode: "instead", and then no feature runs, but here ` +
        `${user.features.map(({ name }) => name).join(', ')}: say "beside", or take it away`,
    ])
  const memory = { limitMb: limit === '' ? undefined : Number(limit), hostMb: Number(host) || 512 }
  const sizes =
    server?.mode === 'beside'
      ? sizesBesideServer(memory, config.workers)
      : sizesOf(memory, isInstead ? 1 : config.workers)
  if (sizes.workers === 0)
    throw new InvalidEnvironment([
      `a server beside the app needs ${neededFor(2)} MiB (docker run --memory): with less, take mode: "instead"`,
    ])
  const isEmbedded = mode === 'embedded'
  const lines = isEmbedded ? serverLines(config) : []
  refuseAny([
    (await tryPort(port)) ??
      (server ? await tryPort(portOf(server, config)) : undefined) ??
      (isEmbedded ? await tryPortOfRedis(config) : undefined),
  ])
  const lost = volumeWarning(textOf('/proc/self/mountinfo'), dataDir)
  const overruled =
    isEmbedded && config.redis.hasStateServer
      ? ['STATE_REDIS_URL is not read: the state is in the embedded Redis unless REDIS_URL names another one']
      : []
  for (const message of [...config.warnings, ...overruled, ...sizes.warnings, ...(lost ? [lost] : [])])
    warn(config.log, message)
  const conf = (role: 'cache' | 'state', mb: number) => [
    `dir ${quoted(`${dataDir}/${role}`)}`,
    `maxmemory ${mb}mb`,
  ]
  return inShell({
    variant: mode,
    PORT: port,
    DATA_DIR: dataDir,
    WEB_CONCURRENCY: sizes.workers,
    SAMOVAR_HEAP_MB: sizes.heapMb,
    MEMORY_BUDGET_MB: config.memoryBudgetMb ?? sizes.budgetMb,
    memory: `${sizes.source} gives cache ${sizes.cacheMb}, state ${sizes.stateMb}, Node's heap ${sizes.heapMb}`,
    SAMOVAR_SERVER: server
      ? JSON.stringify({
          ...server,
          env: serverEnvironment(server, config, Math.floor(sizes.heapMb / sizes.workers)),
        })
      : '',
    any_answer: isInstead ? 'yes' : '',
    is_low_port: port < firstFreePort() ? 'yes' : '',
    redis_cache: isEmbedded ? [...lines, ...conf('cache', sizes.cacheMb)].join('\n') : '',
    redis_state: isEmbedded ? conf('state', sizes.stateMb).join('\n') : '',
  })
}

function refuseAny(problems: readonly (string | undefined)[]): void {
  const found = problems.filter((problem) => problem !== undefined)
  if (found.length > 0) throw new InvalidEnvironment(found)
}

async function tryPortOfRedis({ redis: { cache } }: Config): Promise<string | undefined> {
  if (!cache || 'path' in cache.at) return undefined
  const problem = await tryPort(cache.at.port, '127.0.0.1')
  return (
    problem && `${problem.split(':')[0]}, and the embedded Redis is to have it: give REDIS_URL another one`
  )
}

/** What code of the user's prints while it is loaded must not be taken for the answer. */
function keepStdout(): (text: string) => void {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write
  return (text) => void write(text)
}

const print = keepStdout()
let withPlaces: UserApp['withPlaces'] = (error) => error
let ownerOf: UserApp['ownerOf'] | undefined
// What code of the user's has begun, and nobody waits for: a Redis that does not run yet, for example. The app begins
// it again, and logs it.
process.on('uncaughtException', (error) => {
  if (ownerOf ? ownerOf(error) : readUserDir()) return
  process.stderr.write(`${(error as Error | undefined)?.stack ?? error}\n`)
  process.exit(1)
})
try {
  const user = await openUserFolder(readUserDir(), { isWatched: false }) // it would write into the answer
  withPlaces = user.withPlaces
  ownerOf = user.ownerOf
  print(await answer(process.argv.slice(2), user))
} catch (error) {
  if (!(error instanceof InvalidEnvironment)) throw error
  process.stderr.write(`${withPlaces(error).message}\n`)
  process.exitCode = 78
}
// Not by itself: code of the user's may have begun something that does not end. A pipe is written to at once.
process.exit()
