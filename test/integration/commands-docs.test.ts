// The commands of the docs that ask a running app: pasted into a shell as they stand there, in both languages, each is
// answered with what the page says. Those of webhooks and of reference data are in *-docs.test.ts beside this.
import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startApp, type TestApp } from '../helpers/app.ts'
import { startFakeCoinGecko } from '../helpers/fake-coingecko.ts'

const root = join(import.meta.dirname, '../..')
const TOKEN = 'the-token-of-the-admin'
const BOT_TOKEN = '1:dev'

const read = (page: string) => readFileSync(join(root, page), 'utf8')

const blocksOf = (page: string) =>
  [...read(page).matchAll(/^ *```sh\n(.*?)^ *```/gms)].map(([, commands]) => String(commands))

/** Not execFileSync: the app that is asked answers in this process. */
function run(commands: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...env, PATH: process.env.PATH ?? '' } }
    execFile('bash', ['--norc', '-euo', 'pipefail', '-c', commands], options, (error, out) =>
      error ? reject(error) : resolve(out),
    )
  })
}

const at = ({ url }: TestApp, commands: string, env: Record<string, string> = {}) =>
  run(commands.replaceAll('localhost:8080', url.slice('http://'.length)), { ADMIN_TOKEN: TOKEN, ...env })

const jsonsOf = (text: string) =>
  text
    .replace(/[}\]](?=[{[])/g, '$&\n')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

let open: TestApp
let locked: TestApp
let coins: Awaited<ReturnType<typeof startFakeCoinGecko>>
beforeAll(async () => {
  coins = await startFakeCoinGecko()
  open = await startApp({ REDIS_URL: 'off', TELEGRAM_BOT_TOKEN: BOT_TOKEN, ...coins.env })
  locked = await startApp({ REDIS_URL: 'off', ADMIN_TOKEN: TOKEN })
})
afterAll(async () => {
  await open.close()
  await locked.close()
  await coins.close()
})

/** As docs/adding-a-feature.md logs in; somebody else each time, since what is signed in one second works once. */
let users = 42
async function logIn(): Promise<string> {
  users += 1
  const [, commands = ''] = /^(curl -s -c cookies .*\n.*)$/m.exec(read('docs/adding-a-feature.md')) ?? []
  const jar = await at(
    open,
    `cd ${root}; ${commands.replace('-c cookies -o /dev/null', '-c - -o /dev/null').replace('43', String(users))}`,
    { TELEGRAM_BOT_TOKEN: BOT_TOKEN },
  )
  const cookies = jar.split('\n').map((line) => line.split('\t'))
  return cookies
    .filter((fields) => fields.length === 7)
    .map((fields) => `${fields[5]}=${fields[6]}`)
    .join('; ')
}

test.each(['docs/admin.md', 'docs/ru/admin.md'])('%s', async (page) => {
  const [without = '', withToken = '', ...more] = blocksOf(page)
  expect(more).toEqual([])
  const clear = { cleared: expect.any(Number), backend: expect.any(String) }
  const stats = { backend: 'memory', hits: expect.any(Number), fallback: expect.any(Object) }
  const outages = expect.any(Array)
  const answers = jsonsOf(await at(open, without))
  expect(answers).toMatchObject([stats, clear, clear, clear, outages, { status: 'pass' }, { status: 'warn' }])
  expect(jsonsOf(await at(locked, withToken))).toMatchObject([stats, clear, outages])
  const [refused] = jsonsOf(await at(locked, without))
  expect(refused).toMatchObject({ status: 401 })
})

test.each(['docs/operating.md', 'docs/ru/operating.md'])('%s', async (page) => {
  const [outages = '', clears = ''] = blocksOf(page).filter((block) => block.startsWith('curl'))
  // An app of its own for each page: nine clears a minute are a client's limit.
  const app = await startApp({ REDIS_URL: 'off' })
  try {
    expect(jsonsOf(await at(app, outages))).toEqual([expect.any(Array), expect.any(Array)])
    const answers = jsonsOf(await at(app, clears))
    expect(answers).toHaveLength(3)
    for (const answer of answers) expect(answer).toMatchObject({ cleared: expect.any(Number) })
  } finally {
    await app.close()
  }
})

const inBoth = (name: string) => [`docs/features/${name}.md`, `docs/ru/features/${name}.md`]

test.each(inBoth('markets'))('%s', async (page) => {
  const answers = jsonsOf(await at(open, blocksOf(page).join('')))
  expect(answers.length).toBeGreaterThan(4)
  for (const answer of answers) expect(answer).not.toHaveProperty('code')
})

test.each(inBoth('sessions'))('%s', async (page) => {
  const [commands = ''] = blocksOf(page)
  const [me, list, ...rest] = commands.trim().split('\n')
  const COOKIE = await logIn()
  expect(jsonsOf(await at(open, `${me}\n${list}`, { COOKIE }))).toMatchObject([
    { user: { id: `telegram:${users}` } },
    { sessions: expect.any(Array) },
  ])
  // Each ends the session, or names one that is not there.
  for (const command of rest) await at(open, command, { COOKIE: await logIn() })
  expect(rest).toHaveLength(4)
})

test.each(inBoth('alerts'))('%s', async (page) => {
  const [calls = ''] = blocksOf(page)
  const [verify = ''] = blocksOf(page).filter((block) => block.includes('openssl dgst'))
  const COOKIE = await logIn()
  const [create = '', ...rest] = calls
    .replace(/\\\n\s*/g, '')
    .trim()
    .split('\n')
  const [made] = jsonsOf(await at(open, create, { COOKIE }))
  expect(made).toMatchObject({ id: expect.any(String), coin: 'bitcoin' })
  for (const command of rest) {
    const answer = await at(open, command, { COOKIE, ID: made.id })
    expect([command, answer]).toEqual([command, expect.not.stringContaining('"status":4')])
  }
  // What a receiver of a webhook pastes: genuine, and not when a byte differs.
  const [SECRET, ID, TIME, body] = [
    `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
    'msg_1',
    '1790000000',
    '{"a":1}',
  ]
  const hmac = createHmac('sha256', Buffer.alloc(24, 7)).update(`${ID}.${TIME}.${body}`).digest('base64')
  const inPlace = `cd "$(mktemp -d)"; printf %s '${body}' > body.json; ${verify}`
  const signed = (SIGNATURE: string) => run(inPlace, { SECRET, ID, TIME, SIGNATURE })
  expect(await signed(`v1,${hmac}`)).toBe('genuine\n')
  await expect(signed(`v1,${hmac.replace(/^./, '_')}`)).rejects.toThrow()
})

/** Where each block is run, or why it is not here. A new block needs its line. */
const ELSEWHERE: Record<string, readonly RegExp[]> = {
  'test/image, or by hand: a Docker engine': [
    /^docker (build|run|exec|stop|compose)/,
    /^npm run (up|down)\b/,
    /^PORT=8081 npm run up/,
  ],
  'the suites themselves, or packages': [/^npm (test|run|ci)\b/, /^cp env\.example/, /^SAMOVAR_IMAGE/],
  'the platform’s': [/^git (remote|push)/, /^curl .*https:\/\/</, /^REDIS_URL=/],
}

test.each([
  'README.md',
  'README.ru.md',
  'docs/running.md',
  'docs/ru/running.md',
  'docs/deploying.md',
  'docs/ru/deploying.md',
])('%s has no command that nobody runs', (page) => {
  const lines = blocksOf(page).flatMap((block) => block.replace(/\\\n\s*/g, '').split('\n'))
  const known = Object.values(ELSEWHERE).flat()
  const unknown = lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && !known.some((pattern) => pattern.test(line)))
  expect(unknown.filter((line) => !line.startsWith('openssl rand'))).toEqual([])
})

test('a secret as docs/deploying.md makes it is taken', async () => {
  const [command = ''] = blocksOf('docs/deploying.md').filter((block) => block.includes('openssl rand'))
  expect((await run(command, {})).trim()).toMatch(/^[0-9a-f]{48}$/)
})
