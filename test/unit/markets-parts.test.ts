// The parts of the markets alone: batches on a clock of the test's own, charts and figures.
import { createCallBudget } from '../../src/features/markets/call-budget.ts'
import type { Coin } from '../../src/features/markets/coin.ts'
import { formatCompact, formatPercent, formatPrice } from '../../src/features/markets/figures.ts'
import { createPriceBatch, type Existing, MOST_WAITING } from '../../src/features/markets/price-batch.ts'
import { sparkline } from '../../src/features/markets/sparkline.ts'
import { withRequestSignal } from '../../src/lib/async/request-signal.ts'
import { createClock } from '../helpers/clock.ts'
import { recordLog } from '../helpers/log.ts'

const coin = (id: string) => ({ id }) as Coin

/** A batch whose timers run when the test says so, over a source that has every coin but those called none-…. */
function createBatch() {
  const clock = createClock()
  const asked: string[][] = []
  const timers: { ms: number; call: () => void }[] = []
  const source = { isShort: false, fails: undefined as Error | undefined }
  const expected: Existing[] = []
  const { load, learn } = createPriceBatch({
    async ask(ids, existing) {
      asked.push([...ids])
      expected.push(existing)
      if (source.fails) throw source.fails
      return { coins: ids.filter((id) => !id.startsWith('none-')).map(coin), bad: [], size: 'charts' }
    },
    isShort: () => source.isShort,
    freshMs: 60_000,
    now: clock.now,
    startTimer(ms, call) {
      timers.push({ ms, call })
      return () => {}
    },
  })
  const uncleared = { generation: 0, clearedAt: 0, isCleared: false }
  const batch = { learn, load: (id: string) => load(id, uncleared), loadAsked: load }
  async function runTimers() {
    for (let timer = timers.shift(); timer; timer = timers.shift()) {
      timer.call()
      await new Promise(setImmediate)
    }
  }
  return { batch, clock, asked, expected, timers, source, runTimers }
}

const names = (count: number, prefix = 'coin') => Array.from({ length: count }, (_, i) => `${prefix}-${i}`)

describe('a batch', () => {
  test('ids asked for within 20 ms travel in one call, each with its own coin', async () => {
    const { batch, asked, timers, runTimers } = createBatch()
    const answers = Promise.all([...names(100), 'none-such', 'coin-7'].map(batch.load))
    expect(timers.map(({ ms }) => ms)).toEqual([20])
    await runTimers()
    const coins = await answers
    expect(asked).toHaveLength(1)
    expect(coins.slice(0, 100).map((one) => one?.id)).toEqual(names(100))
    expect([coins[100], coins[101]?.id]).toEqual([undefined, 'coin-7'])
  })

  test('250 to a call, and no address longer than servers take', async () => {
    const { batch, asked, runTimers } = createBatch()
    const all = Promise.all(names(600).map(batch.load))
    await runTimers()
    await all
    expect(asked.map(({ length }) => length)).toEqual([250, 250, 100])
    const long = Promise.all(names(200, 'l'.repeat(90)).map(batch.load))
    await runTimers()
    await long
    expect(Math.max(...asked.map((ids) => ids.join(',').length))).toBeLessThanOrEqual(6_000)
  })

  test('one call at a time; who waits for what it brings is answered by it', async () => {
    const { batch, asked, runTimers } = createBatch()
    const first = batch.load('a')
    await runTimers()
    await first
    batch.learn([coin('b')])
    expect((await batch.load('b'))?.id).toBe('b')
    expect(asked).toEqual([['a']])
  })

  test('coins in use ride along, so that all are renewed together; others are forgotten', async () => {
    const { batch, clock, asked, runTimers } = createBatch()
    const first = Promise.all([batch.load('a'), batch.load('b')])
    await runTimers()
    await first
    clock.turn(54_000)
    const again = batch.load('a')
    await runTimers()
    await again
    expect(asked.at(-1)).toEqual(['a', 'b'])
    clock.turn(6_000)
    await batch.load('b') // from the call of a moment ago
    expect(asked).toHaveLength(2)
    clock.turn(200_000)
    const late = batch.load('a')
    await runTimers()
    await late
    expect(asked.at(-1)).toEqual(['a'])
  })

  test('coins that are known go before those that may not exist', async () => {
    const { batch, clock, asked, runTimers } = createBatch()
    const first = batch.load('real')
    await runTimers()
    await first
    clock.turn(60_000)
    const all = Promise.all([...names(400, 'none'), 'real'].map(batch.load))
    await runTimers()
    await all
    expect(asked[1]?.[0]).toBe('real')
    expect(asked).toHaveLength(3)
  })

  test('waits longer while the budget is short', () => {
    const { batch, source, timers } = createBatch()
    source.isShort = true
    void batch.load('a')
    expect(timers[0]?.ms).toBe(2_000)
  })

  test('an id that nobody waits for any more is not asked for, one that another waits for is', async () => {
    const { batch, asked, runTimers } = createBatch()
    const [gone, other] = [new AbortController(), new AbortController()]
    const asking = (signal: AbortSignal, ids: string[]) =>
      withRequestSignal(signal, () => Promise.allSettled(ids.map(batch.load)))
    const left = asking(gone.signal, [...names(250, 'none'), 'shared'])
    const stays = asking(other.signal, ['shared'])
    gone.abort()
    await runTimers()
    expect(asked).toEqual([['shared']])
    expect(await stays).toMatchObject([{ value: { id: 'shared' } }])
    expect(new Set((await left).map((one) => one.status === 'rejected' && one.reason.code))).toEqual(
      new Set(['abandoned']),
    )
    const again = batch.load('none-1')
    await runTimers()
    await again
    expect(asked).toHaveLength(2)
  })

  test('when all have gone, nothing is asked', async () => {
    const { batch, asked, runTimers } = createBatch()
    const gone = new AbortController()
    const left = withRequestSignal(gone.signal, () => Promise.allSettled(names(3, 'none').map(batch.load)))
    gone.abort()
    await runTimers()
    await left
    expect(asked).toEqual([])
  })

  test('a full queue refuses, and takes more once it is shorter', async () => {
    const { batch, runTimers } = createBatch()
    const all = Promise.allSettled(names(3_000).map(batch.load))
    await expect(batch.load('one-more')).rejects.toMatchObject({ code: 'too_many_names', status: 503 })
    await runTimers()
    const refused = (await all).filter(({ status }) => status === 'rejected')
    expect(3_000 - refused.length).toBe(MOST_WAITING + 250)
    const after = batch.load('one-more')
    await runTimers()
    expect((await after)?.id).toBe('one-more')
  })

  test('a coin is asked for again after a clear of it, however young it is', async () => {
    const { batch, asked, runTimers } = createBatch()
    const load = async (generation: number, clearedAt: number) => {
      const loading = batch.loadAsked('a', { generation, clearedAt, isCleared: false })
      await runTimers()
      await loading
      return asked.length
    }
    expect(await load(5, 0)).toBe(1)
    expect(await load(5, 5)).toBe(1)
    expect(await load(6, 6)).toBe(2)
    expect(await load(7, 6)).toBe(2) // a clear of something else
    batch.learn([coin('a')], 5) // of a call from before
    expect(await load(7, 6)).toBe(2)
  })

  test('a failure reaches all who wait, and the next call is a new one', async () => {
    const { batch, source, asked, runTimers } = createBatch()
    source.fails = new Error('away')
    const failing = Promise.allSettled([batch.load('a'), batch.load('b')])
    await runTimers()
    expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    source.fails = undefined
    const again = batch.load('a')
    await runTimers()
    expect((await again)?.id).toBe('a')
    expect(asked).toHaveLength(2)
  })

  test('says so when all that is waited for may be made up, also when known coins ride along', async () => {
    const { batch, clock, asked, expected, runTimers } = createBatch()
    const loading = batch.load('a')
    await runTimers()
    await loading
    clock.turn(30_000)
    void batch.load('none-such')
    await runTimers()
    expect(asked.at(-1)).toEqual(['none-such', 'a'])
    expect(expected.at(-1)).toEqual({ isAnyKnown: true, isKnownWanted: false })
  })

  test('says whether any coin of the call was known', async () => {
    const { batch, clock, expected, runTimers } = createBatch()
    for (const ids of [['none-such'], ['a'], ['a', 'b']]) {
      const loading = Promise.all(ids.map(batch.load))
      await runTimers()
      await loading
      clock.turn(60_000)
    }
    expect(expected).toEqual([
      { isAnyKnown: false, isKnownWanted: false },
      { isAnyKnown: false, isKnownWanted: false },
      { isAnyKnown: true, isKnownWanted: true },
    ])
  })
})

test('figures as people write them', () => {
  expect(formatPrice(65_432.109, 'usd', 'en')).toBe('$65,432.11')
  expect(formatPrice(0.0000123456, 'usd', 'en')).toBe('$0.00001235')
  expect(formatPrice(5_300_000.5, 'rub', 'ru')).toBe('5\u00a0300\u00a0000,50\u00a0₽')
  expect(formatCompact(1_234_567_890, 'eur', 'en')).toBe('€1.23B')
  expect([1.25, -3, 0].map((percent) => formatPercent(percent, 'en'))).toEqual(['+1.3%', '-3.0%', '0.0%'])
})

test('a chart goes from corner to corner, and is a dash without values', () => {
  expect(sparkline([1, 2], 'up & away').text).toContain('points="0.0,30.0 120.0,2.0"')
  expect(sparkline([1, 2], 'up & away').text).toContain('aria-label="up &amp; away"')
  expect(sparkline([2, 1], '').text).toContain('sparkline down')
  expect(sparkline([5, 5, 5], '').text).toContain('points="0.0,16.0 60.0,16.0 120.0,16.0"')
  expect([sparkline([], '').text, sparkline([1], '').text]).toEqual(['–', '–'])
})

test.each(['', '{"perM', 'null', '{"perMinute":"5"}'])(
  'a damaged budget, %j, is the configured one',
  async (text) => {
    const budget = createCallBudget({
      limiter: { hitAll: () => Promise.reject(new Error('not asked')) },
      state: {
        read: async () => ({ bytes: Buffer.from(text), timestamp: '1' }),
        write: () => Promise.reject(new Error('not asked')),
      },
      perMinute: 30,
      log: recordLog().log,
    })
    expect(await budget.report()).toMatchObject({ perMinute: 30, pausedUntil: null })
  },
)
