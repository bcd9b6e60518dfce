// A release before writes /data and a Redis through its own routes: this one has all of it. And back: the release
// before starts on what this one has written, and has all of that. Its source comes from the history.
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { PATIENCE } from '../helpers/app.ts'
import { removeProcesses, spawnApp, untilStatus } from '../helpers/app-process.ts'
import { BOT_TOKEN } from '../helpers/fake-bot-api.ts'
import { type FakeCoinGecko, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { createVisitor, type Visitor } from '../helpers/sessions-app.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'

/** The last commits before state, its files and the layout changed. */
const RELEASES = ['00197ca', '5ff945a']
const SECRET = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`

const hasHistory = RELEASES.every(
  (commit) => spawnSync('git', ['cat-file', '-e', `${commit}^{commit}`]).status === 0,
)
if (!hasHistory) console.warn('not run: this is no clone with its history, so there is no release before')

let fake: FakeCoinGecko
let redis: TestRedis
let dataDir: string
beforeAll(async () => {
  fake = await startFakeCoinGecko()
})
beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterEach(async () => {
  await removeProcesses()
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})
afterAll(() => fake.close())

/** The sources of that commit, with the packages of this one. */
function treeOf(commit: string): string {
  const tree = join(dataDir, commit)
  mkdirSync(tree)
  const made = spawnSync('sh', ['-c', `git archive ${commit} src package.json | tar xf - -C ${tree}`])
  expect(made.status).toBe(0)
  symlinkSync(join(process.cwd(), 'node_modules'), join(tree, 'node_modules'))
  return tree
}

async function start(tree?: string) {
  const app = await spawnApp(
    {
      REDIS_URL: redis.url,
      DATA_DIR: join(dataDir, 'data'),
      TELEGRAM_BOT_TOKEN: BOT_TOKEN,
      WEBHOOK_SECRETS: `payments=${SECRET}`,
      ...PATIENCE,
      ...fake.env,
    },
    tree === undefined ? {} : { tree },
  )
  return {
    ...app,
    stop() {
      app.child.kill('SIGTERM')
      return app.ended
    },
  }
}
type App = Awaited<ReturnType<typeof start>>

function deliver({ url }: App, id: string): Promise<Response> {
  const [at, body] = [new Date(), '{"paid":1}']
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(SECRET).sign(id, at, body),
  }
  return fetch(`${url}/api/webhooks/payments`, { method: 'POST', headers, body })
}

/** What one user does at an app, and whether another app knows all of it. */
async function live(app: App, userId: string) {
  const proof = await signWidget(widgetFields({ id: userId }), BOT_TOKEN)
  const delivery = randomUUID()
  const enter = async (visitor: Visitor) => (await visitor.post('/api/auth/telegram', proof)).status
  const here = createVisitor(app.url)
  expect(await enter(here)).toBe(200)
  const made = await here.post('/api/alerts', { coin: 'bitcoin', when: 'above', value: 9e6, repeat: 'once' })
  expect(made.status).toBe(201)
  const { id: alertId } = (await made.json()) as { id: string }
  expect((await deliver(app, delivery)).status).toBe(204)

  const gone = createVisitor(app.url)
  const otherProof = await signWidget(widgetFields({ id: `${userId}9` }), BOT_TOKEN)
  expect((await gone.post('/api/auth/telegram', otherProof)).status).toBe(200)
  expect((await gone.delete('/api/sessions')).status).toBe(204)

  return async function expectAll(next: App) {
    const there = (visitor: Visitor) => createVisitor(next.url, {}, new Map(visitor.cookies))
    expect(await (await there(here).get('/api/me')).json()).toMatchObject({
      user: { id: `telegram:${userId}` },
    })
    expect((await there(here).get(`/api/alerts/${alertId}`)).status).toBe(200)
    expect((await there(gone).get('/api/me')).status).toBe(401)
    expect(await enter(createVisitor(next.url))).toBe(401) // a login that was used
    const again = await deliver(next, delivery)
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([204, 'true'])
  }
}

const testWithHistory = hasHistory ? test : test.skip

testWithHistory.each(RELEASES)(
  '%s and this one have what the other has written, with Redis or without',
  async (commit) => {
    const tree = treeOf(commit)
    const before = await start(tree)
    await untilStatus('redis', before.url)
    const expectOld = await live(before, '71')
    expect(await before.stop()).toBe(0)

    await redis.kill()
    const first = await start()
    await expectOld(first) // from samovar.db and records.db alone
    const expectMade = await live(first, '72')
    await redis.start()
    await untilStatus('redis', first.url)
    await expectOld(first)
    expect(await first.stop()).toBe(0)

    rmSync(join(dataDir, 'data', 'samovar.db'))
    const second = await start() // from Redis
    await untilStatus('redis', second.url)
    for (const expectAll of [expectOld, expectMade]) await expectAll(second)
    const expectLast = await live(second, '73')
    expect(await second.stop()).toBe(0)

    const back = await start(tree)
    await untilStatus('redis', back.url)
    for (const expectAll of [expectOld, expectMade, expectLast]) await expectAll(back)
    expect(await back.stop()).toBe(0)
  },
)
