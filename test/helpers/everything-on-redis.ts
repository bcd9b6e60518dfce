// Whatever Samovar does with a Redis, tried by two of its processes on one server.
import { randomUUID } from 'node:crypto'
import { eventually } from './eventually.ts'
import { listen } from './listener.ts'
import { openProcess, type TestProcess } from './stores.ts'

const LONG_MS = 3_600_000
const policy = { freshMs: LONG_MS, staleMs: 0, parse: String }

export interface Pair {
  readonly one: TestProcess
  readonly other: TestProcess
  close(): Promise<void>
}

/** They are on the server when this resolves. */
export async function openPair(url: string): Promise<Pair> {
  const open = () => openProcess({ cacheUrl: url, budgetMs: 2_000, mode: 'external' })
  const pair = [open(), open()] as const
  const [one, other] = await Promise.all(pair)
  const close = async () => void (await Promise.all([one.close(), other.close()]))
  try {
    for (const app of [one, other]) await app.untilStatus('redis')
  } catch (error) {
    await close()
    throw new Error(`not on it: ${told(one).join(' | ')}`, { cause: error })
  }
  return { one, other, close }
}

/** What is wrong, as the log says it. */
export const told = ({ lines }: TestProcess): string[] =>
  lines.filter(({ level }) => level === 'warn' || level === 'error').map(({ message }) => message)

export async function tryState({ one, other }: Pair): Promise<void> {
  const id = randomUUID()
  expect(await one.state.write(`session:${id}`, Buffer.from('x'), LONG_MS)).toBe(true)
  expect((await other.state.read(`session:${id}`))?.bytes.toString()).toBe('x')
  expect((await one.state.claim(`webhook:s:${id}`, Buffer.from('x'), LONG_MS)).taken).toBe(true)
  expect((await other.state.claim(`webhook:s:${id}`, Buffer.from('y'), LONG_MS)).taken).toBe(false)
  expect(await one.state.mark(`revoked:${id}`, 7, LONG_MS)).toBe(7)
  expect(await other.state.marked(`revoked:${id}`)).toBe(7)
  await one.state.include(`sessions:${id}`, 'x', LONG_MS)
  expect(await other.state.members(`sessions:${id}`)).toEqual(['x'])
  const hit = ({ state }: TestProcess) =>
    state.hit(`limit:p:${id}`, { id: randomUUID(), nowMs: Date.now(), limit: 1, windowMs: LONG_MS })
  expect([(await hit(one)).allowed, (await hit(other)).allowed]).toEqual([true, false])
  await one.state.destroy(`session:${id}`, LONG_MS)
  await eventually(async () => expect(await other.state.read(`session:${id}`)).toBeUndefined())
}

export async function tryCache({ one, other }: Pair): Promise<void> {
  const key = `item:${randomUUID()}`
  const from = (app: TestProcess, value: string) => app.cache.getOrLoad(key, policy, async () => value)
  expect((await from(one, 'first')).value).toBe('first')
  expect((await from(other, 'second')).value).toBe('first')
  await one.cache.clear('all')
  await eventually(async () => expect((await from(other, 'third')).value).toBe('third'))
}

export async function tryChannels({ one, other }: Pair): Promise<void> {
  const channel = `call:${randomUUID()}`
  const heard = await listen(other.bus, channel)
  // What is published before the other's subscription has reached Redis comes from the log.
  for (const number of [1, 2, 3]) await one.bus.publish(channel, number)
  await eventually(() => expect(heard.data()).toEqual([1, 2, 3]))
  expect(heard.wrongs).toEqual([])
}

export async function tryJobs({ one, other }: Pair): Promise<void> {
  await eventually(() => expect([one.queue.bull(), other.queue.bull()]).not.toContain(undefined))
  const name = `job-${randomUUID()}`
  const ran: string[] = []
  other.queue.work(name, async ({ id }) => void ran.push(id))
  await one.queue.add(name, { text: 'x' }, { id: 'now' })
  await one.queue.add(name, { text: 'x' }, { id: 'later', delayMs: 100 })
  await eventually(() => expect(ran.toSorted()).toEqual(['later', 'now']))
}
