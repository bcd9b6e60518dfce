// A thousand alerts on a series with known crossings: each crossing is told, once, also when Redis is killed between
// the decision and the telling, or in the middle of it, and when the process is.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pause } from '../../src/lib/time.ts'
import { expectedUpTo, idsAt, makeThousand, SERIES, saidBy } from '../helpers/alert-series.ts'
import { type AlertsApp, fresh, openAlertsApp } from '../helpers/alerts-app.ts'
import type { AlertsProcessOptions } from '../helpers/alerts-process.ts'
import { eventually, HUNG_MS } from '../helpers/eventually.ts'
import { type FakeBotApi, startFakeBotApi } from '../helpers/fake-bot-api.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

const MINUTE_MS = 60_000
const LAST = SERIES.length - 1

let redis: TestRedis
let bot: FakeBotApi
let hooks: WebhookReceiver
let dataDir: string
let aheadMs = 0
const clock = {
  now: () => Date.now() + aheadMs,
  turn(ms: number): void {
    aheadMs += ms
  },
}
const started: ChildProcess[] = []
beforeEach(async () => {
  ;[redis, bot, hooks] = await Promise.all([startRedis(), startFakeBotApi(), startWebhookReceiver()])
  aheadMs = 0
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterEach(async () => {
  for (const child of started) child.kill('SIGKILL')
  await Promise.all([redis.stop(), bot.close(), hooks.close()])
  rmSync(dataDir, { recursive: true, force: true })
})

/** Every crossing up to the step has come by both ways, and nothing else has. */
function expectAllOnce(step: number): void {
  const expected = expectedUpTo(step)
  expect(saidBy(bot)).toEqual(expected)
  const ids = idsAt(hooks)
  expect([ids.length, new Set(ids).size]).toEqual([expected.length, expected.length])
}

/** As eventually, and as long as something still comes: how fast a machine tells of a thousand is no promise. */
async function whileTold(check: () => void): Promise<void> {
  for (let before = -1; ; ) {
    try {
      return await eventually(check)
    } catch (failure) {
      const told = bot.messages.length + hooks.received.length
      if (told === before) throw failure
      before = told
    }
  }
}

async function openApp(beforeTelling: () => Promise<void> = async () => {}) {
  let step = 0
  const app = await openAlertsApp({
    redisUrl: redis.url,
    dataDir,
    botUrl: bot.url,
    ca: hooks.ca,
    beforeTelling,
    now: clock.now,
    pricesOf: async (coins) => new Map(coins.map((coin) => [coin, fresh(SERIES[step] ?? 0)])),
  })
  await eventually(() => expect(app.status()).toBe('redis'))
  await makeThousand(app, hooks)
  return {
    ...app,
    async look(at: number) {
      step = at
      await app.check()
    },
  }
}

test('with a Redis that stays', async () => {
  const app = await openApp()
  for (const [step] of SERIES.entries()) await app.look(step)
  await whileTold(() => expectAllOnce(LAST))
  await app.check()
  await app.check()
  expectAllOnce(LAST)
  await app.close()
})

test('with a Redis that is killed between decision and telling, and comes back empty in the middle of it', async () => {
  let isKilled = false
  const app = await openApp(async () => {
    if (!isKilled) return
    isKilled = false
    await redis.kill()
  })
  await app.look(0)
  isKilled = true
  await app.look(1)
  await whileTold(() => expect(bot.messages.length).toBeGreaterThan(200))
  await redis.start()
  await eventually(() => expect(app.status()).toBe('redis'))
  await whileTold(() => expectAllOnce(1))
  await app.look(2)
  await app.look(3)
  await whileTold(() => expect(bot.messages.length).toBeGreaterThan(expectedUpTo(1).length + 50))
  await redis.kill()
  // Jobs that are in Redis wait for it, but not for long.
  await eventually(async () => {
    const { length } = bot.messages
    await pause(500)
    expect(bot.messages.length).toBe(length)
  })
  clock.turn(6 * MINUTE_MS)
  await app.check()
  await whileTold(() => expectAllOnce(LAST))
  await redis.start()
  await eventually(() => expect(app.status()).toBe('redis'))
  await app.check()
  expectAllOnce(LAST)
  await app.close()
})

function startProcess(options: Partial<AlertsProcessOptions>) {
  const all = {
    redisUrl: redis.url,
    dataDir,
    botUrl: bot.url,
    hooks: { url: hooks.url, ca: hooks.ca },
    makes: false,
    aheadMs: 0,
    ...options,
  }
  const child = fork(join(import.meta.dirname, '../helpers/alerts-process.ts'), [JSON.stringify(all)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  started.push(child)
  return { child, ended: once(child, 'exit') }
}

test('with a process that is killed between decision and telling', async () => {
  const first = startProcess({ makes: true, steps: [0, 1], diesAt: 1 })
  expect((await first.ended)[1]).toBe('SIGKILL')
  expect([bot.messages.length, hooks.received.length]).toEqual([0, 0])
  startProcess({ steps: [2, 3] })
  await whileTold(() => expectAllOnce(LAST))
})

test('with a process that is killed while it sends: what was on its way may come again, under its id', async () => {
  const first = startProcess({ makes: true, steps: [0, 1] })
  await whileTold(() => expect(bot.messages.length).toBeGreaterThan(300))
  first.child.kill('SIGKILL')
  await first.ended
  const sent = bot.messages.length
  expect(sent).toBeLessThan(expectedUpTo(1).length)
  startProcess({ steps: [2, 3], aheadMs: 31_000 })
  const expected = expectedUpTo(LAST)
  // BullMQ gives the jobs of a dead process to another one after up to 45 s.
  await whileTold(() => {
    expect([...new Set(saidBy(bot))]).toEqual(expected)
    expect(new Set(idsAt(hooks)).size).toBe(expected.length)
  })
  // As many at most as were under way: the concurrency of each way.
  expect(bot.messages.length - expected.length).toBeLessThanOrEqual(8)
  expect(hooks.received.length - expected.length).toBeLessThanOrEqual(16)
})

/** An app with five alerts that wait at 100. */
async function openFive() {
  let price = 90
  const open = () =>
    openAlertsApp({
      redisUrl: redis.url,
      dataDir,
      botUrl: bot.url,
      now: clock.now,
      pricesOf: async (coins) => new Map(coins.map((coin) => [coin, fresh(price)])),
    })
  const app = await open()
  await eventually(() => expect(app.status()).toBe('redis'))
  for (let i = 0; i < 5; i += 1) {
    const made = await app.send('POST', '/api/alerts', { coin: `coin-${i}`, when: 'above', value: 100 })
    expect(made.status).toBe(201)
  }
  return {
    app,
    open,
    async cross() {
      price = 101
      await app.check()
    },
  }
}

/** Nothing is left to be told. */
const allEnded = (app: AlertsApp) =>
  eventually(async () => {
    const open = await app.records.all('SELECT way FROM alert_deliveries WHERE ended_at IS NULL')
    expect(open).toEqual([])
  })

/** … and it has been told once. */
async function expectFiveOnce(app: AlertsApp): Promise<void> {
  await allEnded(app)
  const texts = bot.messages.map(({ text }) => text).sort()
  expect(texts).toEqual([0, 1, 2, 3, 4].map((i) => `coin-${i} is above 100 USD: 101 USD`))
}

test('with a stop while messages are under way: what Telegram has is waited for, and not sent again', async () => {
  const { app, open, cross } = await openFive()
  bot.delayMs = 1_200
  await cross()
  await eventually(() => expect(bot.messages.length).toBe(5))
  await app.close()
  clock.turn(MINUTE_MS)
  const again = await open()
  await eventually(() => expect(again.status()).toBe('redis'))
  await again.check()
  await expectFiveOnce(again)
  await again.close()
})

test('with records that cannot be written as messages arrive: that is done later, and none is sent twice', async () => {
  const { app, cross } = await openFive()
  bot.delayMs = 300
  const told = cross()
  await eventually(() => expect(bot.messages.length).toBe(5), HUNG_MS, 5)
  const other = new DatabaseSync(join(dataDir, 'records.db'))
  other.exec('BEGIN IMMEDIATE')
  await pause(2_500)
  other.exec('ROLLBACK')
  other.close()
  await told
  await allEnded(app)
  clock.turn(MINUTE_MS) // what has not been noted is told again
  await app.check()
  await expectFiveOnce(app)
  await app.close()
})
