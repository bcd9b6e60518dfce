// The Express app of docs/make-it-yours.md, moved as the page says, with the code that stands there: who is logged in
// stays so, and no page waits, while both Redis servers are frozen, and killed.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/free-port.ts'
import { soon } from '../helpers/package-world.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'samovar-moved-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The block of step 3, which takes the place of the app's store. */
function stepOf(page: string): string {
  const [, block = ''] =
    /```js\n((?:(?!```).)*openSamovar.*?)```/s.exec(readFileSync(join(root, page), 'utf8')) ?? []
  return block.replace(/^ {3}/gm, '')
}

const program = (step: string) => `import express from 'express'
const app = express()
app.use(express.urlencoded())
${step}
app.post('/login', (req, res) => {
  req.session.name = req.body.name
  res.redirect(303, '/')
})
app.get('/', (req, res) => void res.json({ name: req.session.name ?? null, redis: samovar.status().status }))
const server = app.listen(process.env.PORT)
process.once('SIGTERM', () => server.close(() => samovar.close()))
`

beforeAll(async () => {
  const packed = await promisify(execFile)(process.execPath, [join(root, 'scripts/pack.ts'), folder], {
    cwd: root,
  })
  const own = join(folder, 'node_modules/samovar')
  mkdirSync(own, { recursive: true })
  await promisify(execFile)('tar', ['-xzf', packed.stdout.trim(), '-C', own, '--strip-components=1'])
  const { dependencies } = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'))
  for (const name of ['express', 'express-session', ...Object.keys(dependencies)]) {
    mkdirSync(dirname(join(folder, 'node_modules', name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  }
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
})

test('the page is the same in both languages', () => {
  expect(stepOf('docs/make-it-yours.md')).toContain('createSessionStore(samovar)')
  expect(stepOf('docs/ru/make-it-yours.md')).toBe(stepOf('docs/make-it-yours.md'))
})

const inDatabase = ({ url }: TestRedis, number: number) => url.replace(/\d+$/, String(number))

/** As the image has them: one evicts, one does not; the app has a database of its own in each. */
async function startBoth() {
  const [cache, state] = [await startRedis(), await startRedis()]
  const each = <T>(work: (redis: TestRedis) => T) => Promise.all([cache, state].map(work))
  return { cache, state, each }
}

test('sessions last, and pages come soon, while Redis is frozen and killed', async () => {
  writeFileSync(join(folder, 'server.js'), program(stepOf('docs/make-it-yours.md')))
  const { cache, state, each } = await startBoth()
  const port = await freePort()
  const app = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'server.js'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      PATH: process.env.PATH,
      PORT: String(port),
      DATA_DIR: join(folder, 'data'),
      REDIS_URL: inDatabase(cache, 1),
      STATE_REDIS_URL: inDatabase(state, 1),
      REDIS_PREFIX: 'user:',
      SESSION_SECRET: 'a-secret-of-the-test',
    },
  })
  const ended = once(app, 'exit')
  try {
    const page = async (cookie = '') => {
      const headers = { connection: 'close', cookie }
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers })
      expect(answer.status).toBe(200)
      return (await answer.json()) as { name: string | null; redis: string }
    }
    const logIn = async (name: string) => {
      const body = new URLSearchParams({ name })
      const init: RequestInit = { method: 'POST', body, redirect: 'manual' }
      const answer = await fetch(`http://127.0.0.1:${port}/login`, init)
      expect(answer.status).toBe(303)
      return String(answer.headers.get('set-cookie')).split(';')[0] ?? ''
    }
    const untilStatus = (status: string) => eventually(async () => expect((await page()).redis).toBe(status))

    await untilStatus('redis')
    const before = await logIn('before')
    for (const [fault, mend] of [
      [(redis: TestRedis) => redis.freeze(), (redis: TestRedis) => redis.thaw()],
      [(redis: TestRedis) => redis.kill(), (redis: TestRedis) => redis.start()],
    ] as const) {
      await each(async (redis) => fault(redis))
      for (let i = 0; i < 5; i += 1) expect((await soon(() => page(before))).name).toBe('before')
      const during = await soon(() => logIn('during'))
      await untilStatus('memory')
      expect((await soon(() => page(during))).name).toBe('during')
      await each(async (redis) => mend(redis))
      await untilStatus('redis')
      expect((await page(before)).name).toBe('before')
      expect((await page(during)).name).toBe('during')
    }
    app.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  } finally {
    app.kill('SIGKILL')
    await each((redis) => redis.stop())
  }
})
