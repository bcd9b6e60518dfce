// A call across two processes of the app while their Redis is killed for ten seconds, as the clients see it.
import { removeProcesses, spawnApp, untilStatus } from '../helpers/app-process.ts'
import { type CallClient, openCall } from '../helpers/call-client.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const AWAY_MS = 10_000
const SAY_EVERY_MS = 250

let redis: TestRedis
const clients: CallClient[] = []

beforeAll(async () => {
  redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always')
})
afterAll(async () => {
  for (const { socket } of clients) socket.terminate()
  await removeProcesses()
  await redis.stop()
})

test('messages flow in each process, presence holds, and afterwards both tell the same', async () => {
  const env = { REDIS_URL: redis.url, SESSION_SECRET: 'one secret for both processes', LOG_LEVEL: 'info' }
  const processes = await Promise.all([spawnApp(env), spawnApp(env)])
  for (const { url } of processes) await untilStatus('redis', url)
  const { room, key } = await makeRoom()

  const people: { name: string; at: number; client: CallClient; id: string }[] = []
  for (const [i, name] of ['Anna', 'Alla', 'Boris', 'Berta'].entries()) {
    const at = i < 2 ? 0 : 1
    const client = await call(at)
    const { you } = await client.join(room, { name })
    people.push({ name, at, client, id: you.id })
  }
  const [anna, alla, boris, berta] = people as [Person, Person, Person, Person]
  await anna.client.next('peer-joined', ({ peer }) => peer.id === berta.id)
  boris.client.send({ type: 'signal', to: anna.id, data: 'across, before' })
  await anna.client.next('signal', ({ data }) => data === 'across, before')

  await redis.kill()
  const untilMs = performance.now() + AWAY_MS
  let number = 0
  while (performance.now() < untilMs) {
    number += 1
    for (const { name, client } of people) client.send({ type: 'say', data: `${name} ${number}` })
    await anna.client.next('said', ({ data }) => data === `Alla ${number}`)
    await boris.client.next('said', ({ data }) => data === `Berta ${number}`)
    await new Promise((resolve) => setTimeout(resolve, SAY_EVERY_MS))
  }
  alla.client.send({ type: 'signal', to: anna.id, data: 'within, meanwhile' })
  await anna.client.next('signal', ({ data }) => data === 'within, meanwhile')
  for (const { client } of people) {
    expect(client.messages.filter(({ type }) => type === 'peer-left')).toEqual([])
    const gaps = client.messages.filter((message) => message.type === 'gap' && message.of === 'room')
    expect(gaps.map((gap) => (gap.type === 'gap' ? gap.peers.length : 0))).toEqual(gaps.map(() => 3))
  }

  await redis.start()
  for (const { url } of processes) await untilStatus('redis', url)
  const all = people
    .flatMap(({ name }) => Array.from({ length: number }, (_, i) => `${name} ${i + 1}`))
    .sort()
  for (const { client } of people) await eventually(() => expect(saidTo(client).toSorted()).toEqual(all))
  boris.client.send({ type: 'signal', to: anna.id, data: 'across, after' })
  await anna.client.next('signal', ({ data }) => data === 'across, after')
  expect(people.flatMap(({ client }) => client.messages.filter(({ type }) => type === 'peer-left'))).toEqual(
    [],
  )

  const [here, there] = [await history(0), await history(1)]
  expect(here).toEqual(there)
  expect(here.length).toBeGreaterThan(0)
  expect(processes.map(({ child }) => [child.exitCode, child.signalCode])).toEqual([
    [null, null],
    [null, null],
  ])

  type Person = (typeof people)[number]

  async function makeRoom() {
    const made = await fetch(`${processes[0].url}/api/calls`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"kind":"group"}',
    })
    return (await made.json()) as { room: string; key: string }
  }

  async function call(at: number): Promise<CallClient> {
    const client = await openCall(processes[at]!.url, { key })
    clients.push(client)
    return client
  }

  /** What somebody new who wants to know everything of the present epoch is told there, with the places. */
  async function history(at: number) {
    const epochs = boris.client.messages.flatMap((message) =>
      message.type === 'said' || (message.type === 'gap' && message.of === 'room') ? [message.epoch] : [],
    )
    const client = await call(at)
    await client.join(room, { name: 'Late', since: { epoch: epochs.at(-1), offset: 0 } })
    await client.settle()
    client.socket.close(1000)
    return client.messages.flatMap((message) =>
      message.type === 'said' ? [[message.offset, message.data]] : [],
    )
  }
})

const saidTo = ({ messages }: CallClient) =>
  messages.flatMap((message) => (message.type === 'said' ? [String(message.data)] : []))
