import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { createDeadlines, withTimeout } from '../../src/lib/async/deadlines.ts'
import { eventually, HUNG_MS } from '../helpers/eventually.ts'

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('a call that is never cancelled expires, once, after its budget', async () => {
  let expired = 0
  const startedAt = performance.now()
  createDeadlines().start(60, () => {
    expired += 1
  })
  await eventually(() => expect(expired).toBe(1), HUNG_MS, 1)
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(58) // timers round
  await sleep(100)
  expect(expired).toBe(1)
})

test('a cancelled call never expires, also in front of one that does', async () => {
  const expired: string[] = []
  const { start } = createDeadlines()
  const cancel = start(40, () => expired.push('cancelled'))
  start(40, () => expired.push('hanging'))
  cancel()
  await eventually(() => expect(expired).toEqual(['hanging']))
})

test('a call with a smaller budget expires before one that began earlier', async () => {
  const expired: string[] = []
  const { start } = createDeadlines()
  start(200, () => expired.push('long'))
  start(20, () => expired.push('short'))
  await eventually(() => expect(expired).toEqual(['short', 'long']))
})

test('time in which this process stood still is not charged to the calls', async () => {
  let expired = false
  const cancel = createDeadlines().start(100, () => {
    expired = true
  })
  const until = performance.now() + 400
  while (performance.now() < until); // an event loop that is blocked four budgets long
  await new Promise((resolve) => setImmediate(resolve))
  expect(expired).toBe(false)
  cancel()
})

test('clear drops what is pending', async () => {
  const deadlines = createDeadlines()
  let expired = false
  deadlines.start(20, () => {
    expired = true
  })
  deadlines.clear()
  await sleep(100)
  expect(expired).toBe(false)
})

describe('a call with a signal', () => {
  /** Answers after 150 ms, whatever this thread does in the meantime. */
  const SERVER = `
    const { createServer } = require('node:http')
    const server = createServer(({ url }, res) =>
      setTimeout(() => res.end('x'.repeat(url === '/large' ? 1_000_000 : 4)), 150)).listen(0, '127.0.0.1', () =>
      require('node:worker_threads').parentPort.postMessage(server.address().port))`
  let server: Worker
  let url: string
  beforeAll(async () => {
    server = new Worker(SERVER, { eval: true })
    url = `http://127.0.0.1:${(await once(server, 'message'))[0]}/`
    await (await fetch(url)).text() // what is loaded at the first call
  })
  afterAll(() => server.terminate())

  const sizeOf = (path: string) => (signal: AbortSignal) =>
    fetch(url + path, { signal }).then(async (response) => (await response.text()).length)
  /** As a process that is stopped (SIGSTOP) does: nothing, for that long. */
  const standStill = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

  test('does not count the time in which this process stood still', async () => {
    const answer = withTimeout(800, sizeOf('')) // it is not even sent
    standStill(1_500)
    expect(await answer).toBe(4)
  })

  test('has the answer that came in that time, also one of many reads', async () => {
    const answer = withTimeout(800, sizeOf('large'))
    await sleep(30)
    standStill(1_500)
    expect(await answer).toBe(1_000_000)
  })

  test('is ended with a TimeoutError after its time, and not before', async () => {
    const startedAt = performance.now()
    await expect(withTimeout(60, sizeOf(''))).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(58)
  })
})
