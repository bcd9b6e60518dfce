// Ten thousand generated bad requests against every route of logins, sessions, limits and webhooks, and against the
// clear: nothing breaks, nobody is logged in by one, and nothing of them is left.

import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { type BadInput, makeBadInput } from '../helpers/bad-input.ts'
import { type Insider, routes } from '../helpers/bad-routes.ts'
import { BOT_TOKEN, type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { type RawAnswer, sendRaw } from '../helpers/raw-request.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { initDataFields, signInitData, signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

const SEED = 20_261_123
const WARM_UP = 1_500
const INPUTS = 10_000
const AT_ONCE = 32
const MOST_GROWTH_BYTES = 30 * 1024 * 1024
const PREFIX = 'bad-input:'
const ADMIN_TOKEN = 'the-token-of-the-admin'
const SESSION_SECRET = 'a secret of the sessions of this test'
const SECRETS = {
  payments: `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`,
  repo: 'a-secret-of-the-repository',
  bot: 'a-secret_token-of-the-bot',
}

let redis: TestRedis
let telegram: FakeTelegram
let app: TestApp
let insider: Insider

beforeAll(async () => {
  redis = await startRedis()
  telegram = await startFakeTelegram()
  app = await startApp({
    REDIS_URL: redis.url,
    ...PATIENCE,
    REDIS_PREFIX: PREFIX,
    ADMIN_TOKEN,
    SESSION_SECRET,
    WEBHOOK_SECRETS: `payments=${SECRETS.payments},repo:github=${SECRETS.repo},bot:telegram=${SECRETS.bot}`,
    ...telegram.env,
  })
  await app.untilStatus('redis')
  insider = await prepare()
})
afterAll(async () => {
  await app.close()
  await telegram.close()
  await redis.stop()
})

const cookieOf = ({ cookies }: Visitor) => [...cookies].map((pair) => pair.join('=')).join('; ')

/** A login through Telegram, up to the way back, which is not asked yet. */
async function begin() {
  const visitor = visit(app)
  const start = await visitor.get('/api/auth/telegram/start')
  const agreed = await fetch(start.headers.get('location') ?? '', { redirect: 'manual' })
  const back = new URL(agreed.headers.get('location') ?? '')
  return { visitor, target: back.pathname + back.search, cookie: cookieOf(visitor) }
}

/** The logins that are meant to be: everything that is made from here on is not. */
async function prepare(): Promise<Insider> {
  const initDataOf = (id: number) =>
    signInitData(initDataFields({ user: JSON.stringify({ id, first_name: `User ${id}` }) }), BOT_TOKEN)
  async function logIn(id: number): Promise<Visitor> {
    const visitor = visit(app)
    expect((await visitor.post('/api/auth/telegram/webapp', { initData: await initDataOf(id) })).status).toBe(
      200,
    )
    return visitor
  }
  const logInAll = async (first: number, count: number) =>
    Promise.all(Array.from({ length: count }, (_, i) => logIn(first + i)))

  const strangers: string[] = []
  for (const visitor of await logInAll(3_000, 5)) {
    const { sessions } = (await (await visitor.get('/api/sessions')).json()) as { sessions: { id: string }[] }
    strangers.push(...sessions.map(({ id }) => id))
  }
  const initData = await initDataOf(4_000)
  expect((await visit(app).post('/api/auth/telegram/webapp', { initData })).status).toBe(200)
  const widget = await signWidget(widgetFields({ id: '4001' }), BOT_TOKEN)
  expect((await visit(app).post('/api/auth/telegram', widget)).status).toBe(200)
  const { visitor, ...callback } = await begin()
  expect((await visitor.get(callback.target)).status).toBe(303)
  return {
    botToken: BOT_TOKEN,
    adminToken: ADMIN_TOKEN,
    secrets: SECRETS,
    keepers: (await logInAll(1_000, 20)).map(cookieOf),
    spendable: (await logInAll(2_000, 150)).map(cookieOf),
    strangers,
    spent: { initData, widget, callback },
    begun: await Promise.all(Array.from({ length: 30 }, begin)),
  }
}

/** Every name in Redis with that first word, asked without disturbing the app. */
async function namesOf(word: string): Promise<string[]> {
  const names: string[] = []
  let cursor = '0'
  do {
    const reply = await redis.command('SCAN', cursor, 'MATCH', `${PREFIX}state:${word}:*`, 'COUNT', '100')
    const [next = '0', ...found] = reply
      .split('\r\n')
      .filter((line, i) => i > 0 && !/^[*$]\d+$/.test(line) && line !== '')
    names.push(...found)
    cursor = next
  } while (cursor !== '0')
  return names
}

/** Those that stand for a session, not for one that has ended. */
async function sessionsThere(): Promise<string[]> {
  await app.untilSettled()
  const names = await namesOf('session')
  const values = await Promise.all(names.map((name) => redis.command('GET', name)))
  return names.filter((_, i) => /^\$\d+\r\n[^\n!]*\n/.test(values[i] ?? '')).sort()
}

/** Leases that somebody holds for a delivery that is not done. */
async function leasesHeld(): Promise<string[]> {
  await app.untilSettled()
  const held: string[] = []
  for (const name of await namesOf('running')) {
    const lease = /\{.*\}/.exec(await redis.command('GET', name))?.[0]
    const { untilMs } = JSON.parse(lease ?? '{"untilMs":0}') as { untilMs: number }
    const isDone = (await redis.command('EXISTS', name.replace('running:', ''))).startsWith(':1')
    if (untilMs > Date.now() && !isDone) held.push(name)
  }
  return held
}

/** What an answer must not be; undefined when it is as it should. */
function faultOf(
  { wrong, expected, bytes }: BadInput,
  { status, headers, body }: RawAnswer,
): string | undefined {
  if (status >= 500 || status < 0) return `${status}`
  if (status < 400) {
    return expected === undefined || expected === String(status)
      ? undefined
      : `${status} instead of ${expected}`
  }
  const isOurs = headers.has('x-request-id') // else Node itself refused what is no HTTP
  if (!isOurs) return body === '' && expected === undefined ? undefined : `${status} of nobody`
  const type = headers.get('content-type') ?? ''
  if (type.startsWith('text/html'))
    return expected === undefined && bytes.includes('\r\nAccept:') ? undefined : `${status} as a page`
  if (type !== 'application/problem+json') return `${status} as ${type}`
  if (body === '') return wrong.includes('HEAD') ? undefined : `${status} without a body`
  const { code } = JSON.parse(body) as { code: string }
  const said = `${status} ${code}`
  return expected === undefined || said === expected || said === '429 too_many_requests'
    ? undefined
    : `${said} instead of ${expected}`
}

interface Outcome {
  readonly input: BadInput
  readonly answer: RawAnswer
}

async function sendAll(seed: number, count: number, see: (outcome: Outcome) => void): Promise<void> {
  const port = Number(new URL(app.url).port)
  let next = 0
  async function work(): Promise<void> {
    while (next < count) {
      const index = next++
      const input = await makeBadInput(seed, index, insider)
      see({ input, answer: await sendRaw(port, input) })
      if (index % 500 === 0) readLog()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  readLog()
}

const errorsLogged: string[] = []
/** Nothing that lets anybody in may be in the log. Read as it comes, so that it takes no memory here. */
function readLog(): void {
  const text = inspect(app.lines, {
    depth: 8,
    maxArrayLength: null,
    maxStringLength: null,
    breakLength: Number.POSITIVE_INFINITY,
  })
  const { spent, keepers, begun } = insider
  const signatures = [...keepers, ...begun.map(({ cookie }) => cookie)].map((cookie) => cookie.slice(-30))
  const hashes = [spent.widget.hash ?? '', /hash=(\w+)/.exec(spent.initData)?.[1] ?? '']
  const secrets = [
    BOT_TOKEN,
    ADMIN_TOKEN,
    SESSION_SECRET,
    telegram.env.TELEGRAM_CLIENT_SECRET ?? '',
    ...Object.values(SECRETS),
  ]
  for (const secret of [...secrets, ...signatures, ...hashes])
    expect([secret, text.includes(secret)]).toEqual([secret, false])
  errorsLogged.push(...app.lines.filter(({ level }) => level === 'error').map((line) => inspect(line)))
  app.lines.length = 0
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
function heapBytes(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

test('ten thousand bad requests: refused, and nothing is left of them', async () => {
  const faults: string[] = []
  const counts = new Map(routes.map(({ name }) => [name, new Map<number, number>()]))
  const reasons = new Map<string, Set<string>>()
  const note =
    (seed: number) =>
    ({ input, answer }: Outcome) => {
      const fault = faultOf(input, answer)
      if (fault) faults.push(`seed ${seed}, index ${input.index}: ${input.route}, ${input.wrong}: ${fault}`)
      const ofRoute = counts.get(input.route)
      ofRoute?.set(answer.status, (ofRoute.get(answer.status) ?? 0) + 1)
      if (!input.route.includes('/auth/') || input.expected === undefined || answer.status === 429) return
      const said = `${answer.status} ${/"code":"(\w+)"/.exec(answer.body)?.[1]}`
      reasons.set(input.wrong, (reasons.get(input.wrong) ?? new Set()).add(said))
    }

  const before = await sessionsThere()
  expect(before.length).toBe(5 + 3 + 20 + 150)
  await sendAll(SEED + 1, WARM_UP, () => {})
  const heapBefore = heapBytes()
  await sendAll(SEED, INPUTS, note(SEED))
  const grownBytes = heapBytes() - heapBefore
  process.stdout.write(
    `${tableOf(counts)}\nseed ${SEED}, heap ${(grownBytes / 1024 / 1024).toFixed(1)} MB more\n`,
  )

  expect(faults).toEqual([])
  expect(errorsLogged).toEqual([])
  const after = await sessionsThere()
  expect(after.filter((name) => !before.includes(name))).toEqual([])
  expect(await leasesHeld()).toEqual([])
  expect(grownBytes).toBeLessThan(MOST_GROWTH_BYTES)
  expect((await app.get('/livez')).status).toBe(200)
  for (const cookie of insider.keepers)
    expect((await app.get('/api/me', { headers: { cookie } })).status).toBe(200)

  for (const wrong of [
    'forged',
    'replayed',
    'late',
    'early',
    'truncated',
    'reordered',
    'a field twice',
    'of another bot',
  ])
    expect([wrong, ...(reasons.get(wrong) ?? [])]).toEqual([wrong, '401 login_refused'])
  for (const [name, statuses] of counts) {
    expect([name, [...statuses.values()].reduce((sum, n) => sum + n, 0) >= 200]).toEqual([name, true])
    expect([name, statuses.size >= 2]).toEqual([name, true])
  }
  expect([...counts.values()].some((statuses) => statuses.has(429))).toBe(true)
})

test.each<[string, () => Promise<() => Promise<Response>>]>([
  [
    'a Mini App',
    async () => {
      const initData = await signInitData(initDataFields({ query_id: 'parallel' }), BOT_TOKEN)
      return () => visit(app).post('/api/auth/telegram/webapp', { initData })
    },
  ],
  [
    'the widget, by both of its addresses',
    async () => {
      const fields = await signWidget(widgetFields({ query_id: 'parallel' }), BOT_TOKEN)
      const ways = [
        () => visit(app).post('/api/auth/telegram', fields),
        () => visit(app).get(`/api/auth/telegram?${new URLSearchParams(fields)}`),
      ]
      return () => (ways.reverse()[0] as (typeof ways)[number])()
    },
  ],
  [
    'a callback',
    async () => {
      const { target, cookie } = await begin()
      return () => visit(app).get(target, { cookie })
    },
  ],
])('fifty times the same login at once is one session: %s', async (_name, prepareLogin) => {
  const logIn = await prepareLogin()
  const before = await sessionsThere()
  const statuses = (await Promise.all(Array.from({ length: 50 }, logIn))).map(({ status }) => status)
  expect(statuses.filter((status) => status === 401)).toHaveLength(49)
  expect((await sessionsThere()).length).toBe(before.length + 1)
})

/** A line for each route, a column for each status. */
function tableOf(counts: ReadonlyMap<string, ReadonlyMap<number, number>>): string {
  const statuses = [...new Set([...counts.values()].flatMap((one) => [...one.keys()]))].sort((a, b) => a - b)
  const width = Math.max(...[...counts.keys()].map(({ length }) => length))
  const line = (name: string, cells: readonly (number | string)[]) =>
    name.padEnd(width) + cells.map((cell) => String(cell).padStart(6)).join('')
  const lines = [...counts].map(([name, one]) =>
    line(
      name,
      statuses.map((status) => one.get(status) ?? ''),
    ),
  )
  return [
    '',
    line(
      '',
      statuses.map((status) => status || 'none'),
    ),
    ...lines,
  ].join('\n')
}
