// The attacks: what each sends (test/hostile/attacker), how much of it, and what must be seen of the answers.
import type { LogLine } from '../helpers/image.ts'

type Counts = Readonly<Record<string, number>>

export interface Extent {
  readonly seconds: number
  readonly count?: number
  /** So many containers attack, each with an address of its own. */
  readonly from?: number
}

export interface Spec {
  /** Of the function in test/hostile/attacker. */
  readonly attack: string
  readonly what: string
  /** Without it only the full form has it. */
  readonly short?: Extent
  readonly full: Extent
  /** The attacker has a thousand addresses. */
  readonly hasManyAddresses?: boolean
  /** What the answers or the log say of a limit that did not hold. */
  fault?(seen: Counts, logged: readonly LogLine[]): string | undefined
}

/** Policy `login` of features/sessions: from one address in a quarter of an hour. */
const LOGINS = 60
const MOST_LINES_A_SECOND = 20

function atMost(limit: number, what: string, seen: Counts): string | undefined {
  const passed = Object.entries(seen).reduce(
    (sum, [status, n]) => (status.startsWith('4') && status !== '429' ? sum + n : sum),
    0,
  )
  return passed > limit ? `${passed} of ${what} passed the limit of ${limit}` : undefined
}

/** On the container as README says: no variable set but those of the third parties. */
export const direct: readonly Spec[] = [
  {
    attack: 'madeUpNames',
    what: 'lists of 250 made-up coins, sockets closed immediately',
    short: { seconds: 4, count: 60 },
    full: { seconds: 20, count: 300 },
  },
  {
    attack: 'stalledWebhooks',
    what: 'webhook bodies of 1 MB, stalled before the end, in two waves',
    short: { seconds: 4, count: 420 },
    full: { seconds: 40, count: 420, from: 2 },
  },
  {
    attack: 'clears',
    what: 'clears without a token, reads between',
    short: { seconds: 5 },
    full: { seconds: 30 },
  },
  {
    attack: 'forgedForwardedFor',
    what: 'login attempts, each with another X-Forwarded-For',
    short: { seconds: 15, count: 140 },
    full: { seconds: 20, count: 600 },
    fault: (seen) => atMost(LOGINS, 'the login attempts', seen),
  },
  {
    attack: 'idleConnections',
    what: 'idle keep-alive connections from one address',
    short: { seconds: 2, count: 5_500 },
    full: { seconds: 60, count: 10_000 },
  },
  {
    attack: 'idleConnections',
    what: '10,000 idle connections from 1,000 addresses',
    full: { seconds: 60, count: 10_000 },
    hasManyAddresses: true,
  },
  {
    attack: 'slowHeaders',
    what: 'requests of a header line a second',
    short: { seconds: 4, count: 3_000 },
    full: { seconds: 60, count: 6_000, from: 2 },
  },
  {
    attack: 'slowBodies',
    what: 'bodies of a byte a second',
    full: { seconds: 60, count: 3_000, from: 2 },
  },
  {
    attack: 'slowReaders',
    what: 'connections that ask for 100 pages each and read none',
    short: { seconds: 5, count: 300 },
    full: { seconds: 30, count: 1_000, from: 2 },
  },
  { attack: 'headerFloods', what: 'header floods', full: { seconds: 30, from: 2 } },
  {
    attack: 'socketFloods',
    what: 'WebSocket floods: openings, pings, fragments, frames that lie about their length',
    short: { seconds: 5, count: 300 },
    full: { seconds: 30, count: 1_000, from: 2 },
  },
  {
    attack: 'gzipBombs',
    what: 'gzip and brotli bombs on every route that takes a body',
    full: { seconds: 30, from: 2 },
  },
  {
    attack: 'deepJson',
    what: 'deep and wide JSON on every route that takes a body',
    full: { seconds: 30, from: 2 },
  },
  { attack: 'cacheKeys', what: 'names nobody has asked for, on every route', full: { seconds: 30, from: 2 } },
]

/** Behind a trusted proxy, without Redis, and with 2 MB of memory for state. */
export const withoutRedis: readonly Spec[] = [
  {
    attack: 'limiterEntries',
    what: 'changes from the /64s of one /48, with 2 MB of memory for state',
    short: { seconds: 6 },
    full: { seconds: 60 },
  },
]

/** Behind a trusted proxy: the attacker has a /48, thus 65,536 clients of a /64 each. */
export const proxied: readonly Spec[] = [
  {
    attack: 'limiterEntries',
    what: 'changes from the /64s of one /48',
    full: { seconds: 90, from: 2 },
  },
  {
    attack: 'wrongTokens',
    what: 'wrong admin tokens',
    short: { seconds: 15, count: 150 },
    full: { seconds: 20, count: 2_000 },
    fault(seen, logged) {
      if (!seen['429']) return `no 429 among ${JSON.stringify(seen)}`
      return logged.some(({ text }) => /token/i.test(text)) ? undefined : 'no line in the log'
    },
  },
  {
    attack: 'deepJson',
    what: 'deep and wide JSON from the /64s of one /48',
    short: { seconds: 5 },
    full: { seconds: 30 },
  },
  {
    attack: 'cacheKeys',
    what: 'names nobody has asked for, on every route, from the /64s of one /48',
    short: { seconds: 5 },
    full: { seconds: 60, from: 2 },
  },
]

/** For every attack: a flood has no line for each of its requests. */
export function floodOfLines(lines: number, seconds: number): string | undefined {
  const most = MOST_LINES_A_SECOND * seconds + 100
  return lines > most ? `${lines} lines in the log` : undefined
}
