// samovar.config.js of the user's folder: a server of their own, which the image runs beside the app or instead of it.
import { z } from 'zod'
import { type Config, InvalidEnvironment } from '../config.ts'
import { loadFile } from './load-features.ts'
import { placeOf } from './place.ts'

/** What the image has none of: they install packages, and start what package.json names. */
const NOT_IN_IMAGE = /^(npm|npx|yarn|pnpm|bun|bunx|corepack)\b/
const BESIDE_PORT = 3000

const schema = z.strictObject({
  command: z
    .string({ error: 'must be a command, such as "node server.js"' })
    .trim()
    .min(1, 'must be a command, such as "node server.js"')
    .regex(/^[^\n\r\0]*$/, 'must be one line')
    .refine(
      (text) => !NOT_IN_IMAGE.test(text),
      'names a program that the image has not: write the command that package.json runs, such as "node server.js"',
    ),
  mode: z.enum(['beside', 'instead'], { error: 'must be "beside" or "instead"' }).default('beside'),
  port: z
    .int('must be a whole number from 1 to 65535')
    .min(1, 'must be from 1 to 65535')
    .max(65_535, 'must be from 1 to 65535')
    .optional(),
})

export interface UserServer extends z.infer<typeof schema> {
  readonly file: string
  readonly dir: string
}

/** @throws InvalidEnvironment */
export async function readServer(file: string, dir: string): Promise<UserServer> {
  const module = await loadFile(file, dir, [file])
  const parsed = schema.safeParse((module as { default?: unknown }).default)
  if (parsed.success) return { ...parsed.data, file, dir }
  throw new InvalidEnvironment(
    parsed.error.issues.map(({ path: [name], message, code }) => {
      if (name !== undefined) return `${String(name)} ${message} (${placeOf(String(name), file)})`
      const what = code === 'unrecognized_keys' ? message : 'it exports no object'
      return `${file}: ${what}; export default { command: 'node server.js', mode: 'beside', port: 3000 }`
    }),
  )
}

/** The environment of that server, beside that of the container: nothing of ours is at these places. */
export interface ServerEnvironment extends Readonly<Record<string, string>> {
  readonly PORT: string
  readonly DATA_DIR: string
}

/** The port it is to listen on. */
export const portOf = ({ mode, port }: UserServer, config: Pick<Config, 'port'>): number =>
  port ?? (mode === 'instead' ? config.port : BESIDE_PORT)

/** Of the image; `heapMb`: what its process of Node may take. */
export function serverEnvironment(server: UserServer, config: Config, heapMb: number): ServerEnvironment {
  return {
    PORT: String(portOf(server, config)),
    DATA_DIR: `${config.dataDir}/user`,
    NODE_OPTIONS: `--max-old-space-size=${heapMb}`,
    ...redisVariables(config),
  }
}

/** Of the embedded servers, each in another database than ours; of a service, behind another prefix. */
function redisVariables({ mode, runDir, redis }: Config): Record<string, string> {
  if (mode === 'external') return { REDIS_PREFIX: `${redis.prefix.replace(/:$/, '')}-user:` }
  const { cache } = redis
  if (mode === 'memory' || !cache || 'path' in cache.at) return {}
  const { port } = cache.at
  const { username = '', password = '' } = cache
  const login = password === '' ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`
  const database = cache.database === 1 ? 2 : 1
  const socket = `${runDir}/redis/redis-state.sock`
  return {
    REDIS_URL: `redis://${login}127.0.0.1:${port}/${database}`,
    STATE_REDIS_URL: `unix://${socket}?db=1`,
    STATE_REDIS_SOCKET: socket,
    REDIS_PREFIX: 'user:',
  }
}

/** What cannot be, one sentence each. */
export function serverProblems(server: UserServer, config: Config): string[] {
  const port = portOf(server, config)
  const { cache } = config.redis
  const redisPort = config.mode === 'embedded' && cache && 'port' in cache.at ? cache.at.port : undefined
  const place = placeOf('port', server.file)
  if (server.mode === 'beside' && port === config.port)
    return [`port is ${port}, which is PORT, the app’s own: give the server another one (${place})`]
  if (port === redisPort)
    return [`port is ${port}, which the embedded Redis has: choose another one (${place})`]
  return []
}
