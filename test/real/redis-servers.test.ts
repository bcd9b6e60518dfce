// Redis as people have it: other releases and Valkey as Debian packages them, and what hosts take away from them.
import {
  openPair,
  type Pair,
  told,
  tryCache,
  tryChannels,
  tryJobs,
  tryState,
} from '../helpers/everything-on-redis.ts'
import { packagedServer } from '../helpers/packaged-server.ts'
import { startServer, type TestRedis } from '../helpers/redis-server.ts'

const without = (...commands: string[]) => commands.flatMap((command) => ['--rename-command', command, ''])
const PASSWORD = 'sentinel-password'

interface Kind {
  readonly command?: readonly string[] | undefined
  readonly settings?: readonly string[]
  readonly user?: string
  readonly url?: (url: string) => string
  /** Everything works, and nobody need be told anything. */
  readonly lines?: readonly RegExp[]
}

const NO_FIGURES = /^Redis refused INFO or DBSIZE/
const kinds: Record<string, Kind> = {
  'Redis of this machine': {},
  'Redis 6.0, of Debian 11': { command: packagedServer('bullseye', 'redis-server') },
  'Redis 8.0, of Debian 13': { command: packagedServer('trixie', 'redis-server') },
  'Valkey 8.1, of Debian 13': { command: packagedServer('trixie', 'valkey-server') },
  'no HELLO': { settings: without('HELLO') },
  'no HELLO, and a password': {
    settings: [...without('HELLO'), '--requirepass', PASSWORD],
    url: (url) => url.replace('redis://', `redis://default:${PASSWORD}@`),
  },
  'no CLIENT': { settings: without('CLIENT') },
  'no INFO': { settings: without('INFO'), lines: [NO_FIGURES] },
  'no CONFIG, SCRIPT, DBSIZE, COMMAND or MULTI': {
    settings: without('CONFIG', 'SCRIPT', 'DBSIZE', 'COMMAND', 'MULTI', 'EXEC', 'KEYS', 'FLUSHALL'),
    lines: [NO_FIGURES],
  },
  'none of all these, as of before 6': {
    settings: without('HELLO', 'CLIENT', 'INFO', 'CONFIG', 'SCRIPT', 'DBSIZE', 'ACL', 'RESET'),
    lines: [NO_FIGURES],
  },
}

const tried = Object.entries(kinds).filter(([, kind]) => !('command' in kind) || kind.command)

describe.each(tried)('%s', (_, { command, settings = [], url = String, lines = [] }) => {
  let redis: TestRedis
  let pair: Pair
  beforeAll(async () => {
    redis = await startServer({ settings, ...(command && { command }) })
    pair = await openPair(url(redis.url))
  })
  afterAll(async () => {
    await pair?.close()
    await redis.stop()
  })

  test('state', () => tryState(pair))
  test('cache', () => tryCache(pair))
  test('channels', () => tryChannels(pair))
  test('jobs', () => tryJobs(pair))
  test('no outage, and nothing in the log but what cannot be had', () => {
    for (const app of [pair.one, pair.other]) {
      expect(app.status()).toMatchObject({ status: 'redis', activations: 0 })
      expect(told(app)).toEqual(lines.map((line) => expect.stringMatching(line)))
      expect(JSON.stringify(app.lines)).not.toContain(PASSWORD)
    }
  })
})
