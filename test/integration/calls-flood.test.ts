// Clients that send as much as they may: what one client may, whatever sockets it opens; and what many of them cost,
// in this process and in the Redis of the smallest plan. The clock of the limits is turned by hand, everything else
// is real.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { clientJoins } from '../../src/features/calls/call-limits.ts'
import { makeRoomName } from '../../src/features/calls/room-name.ts'
import { clientPolicies } from '../../src/http/sockets/socket-limits.ts'
import { type CallClient, openCall } from '../helpers/call-client.ts'
import { type CallsApp, startCalls } from '../helpers/calls-app.ts'
import { createClock } from '../helpers/clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { openProcess } from '../helpers/stores.ts'

const { now, turn } = createClock(Date.now())
const LARGE = 'x'.repeat(58_000)
const from = (address: string) => ({ headers: { 'x-test-user': 'Eve', 'x-forwarded-for': address } })

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapMb(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed / 1024 / 1024
}

/** Rooms of eight, each from an address of its own, whose peers send to the next one in the room. */
async function openRooms(url: string, count: number): Promise<CallClient[][]> {
  const rooms = []
  for (let i = 0; i < count; i += 1) {
    const room = makeRoomName('group')
    const clients: CallClient[] = []
    for (let k = 0; k < 8; k += 1) clients.push(await openCall(url, from(`198.51.100.${i}`)))
    for (const client of clients) await client.join(room)
    rooms.push(clients)
  }
  return rooms
}

function idOf({ messages }: CallClient): string {
  const joined = messages.find((message) => message.type === 'joined')
  if (!joined) throw new Error('not joined')
  return joined.you.id
}

const pongsTo = ({ messages }: CallClient) => messages.filter(({ type }) => type === 'pong').length
const isClosed = ({ socket }: CallClient) => socket.readyState === socket.CLOSED
const errorsOf = ({ messages }: CallClient) =>
  messages.flatMap((message) => (message.type === 'error' ? [message.code] : []))

describe('one client', () => {
  let app: CallsApp
  const clients: CallClient[] = []
  beforeAll(async () => {
    app = await startCalls({ now })
  })
  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.terminate()
    turn(60_000)
  })
  afterAll(() => app.close())

  async function open(address: string): Promise<CallClient> {
    const client = await openCall(app.url, from(address))
    clients.push(client)
    return client
  }

  test('may send 50 small messages a second, second after second', async () => {
    const client = await open('203.0.113.1')
    for (let second = 0; second < 12; second += 1) {
      for (let i = 0; i < 50; i += 1) client.send('{"type":"ping"}')
      await eventually(() => expect(pongsTo(client)).toBe(50 * (second + 1)))
      turn(1_000)
    }
    expect(errorsOf(client)).toEqual([])
  })

  test('that opens socket after socket sends no more bytes than a client may', async () => {
    const { limit } = clientPolicies.bytes
    let sent = 0
    let refused: CallClient | undefined
    while (!refused) {
      const client = await open('203.0.113.2')
      await client.join(makeRoomName('group'))
      for (let i = 0; i < 4; i += 1) client.send({ type: 'say', data: LARGE })
      await eventually(() => expect(saidTo(client) === 4 || isClosed(client)).toBe(true))
      sent += saidTo(client) * LARGE.length
      if (errorsOf(client).length > 0) refused = client
      client.socket.terminate()
      expect(sent).toBeLessThan(limit)
    }
    expect(errorsOf(refused)).toEqual(['too_many_messages'])
    expect(sent).toBeGreaterThan(0.8 * limit)
    const other = await open('203.0.113.3')
    await other.settle()
    turn(10_000)
    await (await open('203.0.113.2')).settle()
  })

  const saidTo = ({ messages }: CallClient) => messages.filter(({ type }) => type === 'said').length

  test('with 20 sockets sends no more messages a second, and joins no more often, than a client may', async () => {
    const sockets: CallClient[] = []
    for (let i = 0; i < 20; i += 1) sockets.push(await open('203.0.113.4'))
    for (const client of sockets) for (let i = 0; i < 40; i += 1) client.send('{"type":"ping"}')
    // Who is refused does not answer what was waiting.
    const isDone = (client: CallClient) => pongsTo(client) === 40 || errorsOf(client).length > 0
    await eventually(() => expect(sockets.every(isDone)).toBe(true))
    const pongs = sockets.reduce((sum, client) => sum + pongsTo(client), 0)
    expect(pongs).toBeLessThanOrEqual(clientPolicies.messages.limit)
    expect(pongs).toBeGreaterThan(0.8 * clientPolicies.messages.limit)
    turn(1_000)
    let joins = 0
    let last = await open('203.0.113.4')
    while (errorsOf(last).length === 0 && joins <= clientJoins.limit) {
      last = await open('203.0.113.4')
      last.send({ type: 'join', room: makeRoomName('group') })
      const hasJoined = ({ messages }: CallClient) => messages.some(({ type }) => type === 'joined')
      await eventually(() => expect(hasJoined(last) || isClosed(last)).toBe(true))
      joins += 1
      last.socket.close()
      turn(20)
    }
    expect([joins, errorsOf(last)]).toEqual([clientJoins.limit + 1, ['too_many_joins']])
  })
})

test('96 clients that send all they may: memory does not grow, here or in Redis, and Redis stays in use', async () => {
  const redis = await startRedis('--maxmemory', '46mb', '--maxmemory-policy', 'noeviction')
  const roles = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 }) // this process is the clients as well
  await roles.untilStatus('redis')
  const app = await startCalls({ bus: roles.bus, now })
  const rooms = await openRooms(app.url, 12)
  const clients = rooms.flat()
  const ids = rooms.map((room) => room.map(idOf))
  for (const { messages } of clients) messages.length = 0
  const startMb = heapMb()
  for (let round = 1; round <= 4; round += 1) {
    for (let k = 0; k < 4; k += 1) {
      for (const [i, room] of rooms.entries())
        for (const [own, client] of room.entries())
          client.send({ type: 'signal', to: ids[i]?.[(own + 1) % 8], n: 1, data: LARGE })
      const signals = () => clients.map((client) => client.messages.filter(({ type }) => type === 'signal'))
      await eventually(() => expect(signals().every(({ length }) => length === 1)).toBe(true))
      for (const { messages } of clients) messages.length = 0
    }
    turn(10_000)
    expect(heapMb() - startMb).toBeLessThan(40)
    const usedBytes = Number(/used_memory:(\d+)/.exec(await redis.command('INFO', 'memory'))?.[1])
    expect(usedBytes).toBeLessThan(24 * 1024 * 1024)
  }
  expect(roles.stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
  for (const { socket } of clients) socket.terminate()
  await app.close()
  await roles.close()
  await redis.stop()
})
