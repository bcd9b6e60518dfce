// The app's clock is not Redis': what is limited, claimed and leased for a short while is so by whichever clock
// counts it.
import { randomUUID } from 'node:crypto'
import { createOnce } from '../../src/core/once.ts'
import { pause } from '../../src/lib/time.ts'
import { type Ahead, beginAhead } from '../helpers/ahead.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'
import { startTcpProxy } from '../helpers/tcp-proxy.ts'

const HOUR_MS = 3_600_000
const BRIEF_MS = 60_000

let clock: Ahead
let redis: TestRedis
let app: TestProcess
async function open(workers: number): Promise<void> {
  clock = beginAhead()
  redis = await startRedis('--appendonly', 'yes')
  app = await openProcess({ cacheUrl: redis.url, workers })
  await app.untilStatus('redis')
  await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
}
afterEach(async () => {
  await app.close()
  clock.end()
  await redis.stop()
})

const secondsLeft = async (key: string) =>
  Math.round(Number((await redis.command('PTTL', `samovar:state:${key}`)).slice(1)) / 1_000)
/** What was kept for a minute since then has more left, by the real clock, which is Redis'. */
const leastLeft = (sinceMs: number) => 55 - (performance.now() - sinceMs) / 1_000

describe.each([1, 2])('%s workers', (workers) => {
  describe.each([
    ['behind', -HOUR_MS],
    ['ahead of', HOUR_MS],
  ])("the app's clock an hour %s Redis'", (_name, stepMs) => {
    beforeEach(async () => {
      await open(workers)
      clock.pass(stepMs)
    })

    test('a limit used up in an outage is used up after it', async () => {
      const hit = async () => {
        const asked = { id: randomUUID(), nowMs: Date.now(), limit: 5, windowMs: BRIEF_MS }
        return (await app.state.hit('limit:p:x', asked)).allowed
      }
      const startedAtMs = performance.now()
      const hits = async () => [await hit(), await hit(), await hit(), await hit(), await hit(), await hit()]
      await redis.kill()
      await app.untilStatus('memory')
      expect((await hits()).filter(Boolean)).toHaveLength(5)
      await redis.start()
      await app.untilStatus('redis')
      await pause(50)
      expect((await hits()).filter(Boolean)).toHaveLength(0)
      expect(await secondsLeft('limit:p:x')).toBeGreaterThan(leastLeft(startedAtMs))
    })

    test('work that is leased runs once', async () => {
      const once = createOnce({ state: app.state })
      let runs = 0
      let finish = () => {}
      const finished = new Promise<void>((resolve) => {
        finish = resolve
      })
      const task = () =>
        once.run({
          key: 'webhook:s:1',
          fingerprint: 'f',
          work: async () => {
            runs += 1
            await finished
            return Buffer.from('ok')
          },
        })
      const first = task()
      await eventually(() => expect(runs).toBe(1))
      const others = await Promise.all([task(), task()])
      finish()
      const kinds = [...others, await first].map(({ kind }) => kind)
      expect([runs, kinds]).toEqual([1, ['running', 'running', 'done']])
    })

    test('whatever is kept for a minute is in Redis for a minute, written there or merged', async () => {
      const { state } = app
      const startedAtMs = performance.now()
      const write = async (name: string) => {
        await state.write(`session:${name}`, Buffer.from('x'), BRIEF_MS)
        await state.update(`running:${name}`, Buffer.from('x'), BRIEF_MS, undefined)
        await state.destroy(`session:gone-${name}`, BRIEF_MS)
        await state.claim(`webhook:s:${name}`, Buffer.from('x'), BRIEF_MS)
        await state.mark(`revoked:${name}`, 1, BRIEF_MS)
        await state.include(`sessions:${name}`, 'x', BRIEF_MS)
      }
      await write('there')
      await redis.kill()
      await app.untilStatus('memory')
      await write('merged')
      await redis.start()
      await app.untilStatus('redis')
      for (const name of ['there', 'merged'])
        for (const key of [
          `session:${name}`,
          `running:${name}`,
          `session:gone-${name}`,
          `webhook:s:${name}`,
          `revoked:${name}`,
          `sessions:${name}`,
        ]) {
          const left = await secondsLeft(key)
          const isAboutAMinute = left > leastLeft(startedAtMs) && left <= 60
          expect([key, isAboutAMinute ? 'about a minute' : left]).toEqual([key, 'about a minute'])
        }
      expect((await state.read('session:there'))?.bytes.toString()).toBe('x')
      expect(await state.members('sessions:there')).toEqual(['x'])
    })
  })
})

test('a clear made in an outage reaches what a process whose clock was ahead had loaded before it', async () => {
  await open(2)
  const proxy = await startTcpProxy(redis.port)
  const cutOff = await openProcess({ cacheUrl: proxy.url })
  const policy = { freshMs: 2 * HOUR_MS, staleMs: HOUR_MS, parse: String }
  const load = async (value: string) => (await app.cache.getOrLoad('item', policy, async () => value)).value
  try {
    await cutOff.untilStatus('redis')
    proxy.set({ resetPeer: true })
    await cutOff.untilStatus('memory')
    clock.pass(HOUR_MS)
    await app.cache.clear({ prefix: 'other:' })
    expect(await load('old')).toBe('old')
    clock.pass(-HOUR_MS)
    await cutOff.cache.clear('all')
    proxy.set({})
    await cutOff.untilStatus('redis')
    await eventually(async () => expect(await load('new')).toBe('new'))
  } finally {
    await cutOff.close()
    await proxy.close()
  }
})
