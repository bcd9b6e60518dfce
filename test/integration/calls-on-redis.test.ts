// Seats of one room in two processes on one Redis: whoever returns twice at once has one seat, and goes on where it
// was.
import { makeRoomName } from '../../src/features/calls/room-name.ts'
import { type CallClient, cut, openCall } from '../helpers/call-client.ts'
import { type Entered, openRooms } from '../helpers/call-rooms.ts'
import { type CallsApp, startCalls } from '../helpers/calls-app.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const ROUNDS = 8

let redis: TestRedis
let processes: readonly [TestProcess, TestProcess]

beforeAll(async () => {
  redis = await startRedis()
  const open = () => openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  processes = [await open(), await open()]
  for (const process of processes) await process.untilStatus('redis')
})
afterAll(async () => {
  for (const process of processes) await process.close()
  await redis.stop()
})

describe.each<[string, 0 | 1]>([
  ['one process', 0],
  ['two processes', 1],
])('in %s', (_name, second) => {
  test.each(['pair', 'group'] as const)(
    'of two that return at once to a %s one has the seat',
    async (kind) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const { bus } = processes[0]
        const [here, there] = [openRooms(bus), openRooms(processes[second].bus)]
        const room = makeRoomName(kind)
        const anna = await here.enter(room, 'Anna')
        const boris = await here.enter(room, 'Boris')
        const returning = boris.seat.id
        await eventually(() => expect(anna.types()).toEqual(['peer-joined']))
        if (round % 2 === 0) boris.seat.letGo()

        const both = await Promise.all([here, there].map(({ enter }) => enter(room, 'Boris', { returning })))
        await eventually(() => expect(both.map(({ wasTaken }) => wasTaken()).sort()).toEqual([false, true]))
        const stays = both.find(({ wasTaken }) => !wasTaken()) as Entered
        expect(stays.seat.id).toBe(returning)
        await eventually(async () => expect(await bus.members(`room:${room}`)).toHaveLength(2))
        expect(await anna.seat.signal(returning, 'to whoever stays')).toBe(true)
        await eventually(() => expect(stays.told.at(-1)).toMatchObject({ data: 'to whoever stays' }))
        expect(anna.types()).toEqual(['peer-joined', 'negotiation'])

        await stays.seat.leave()
        for (const { timers } of [here, there]) timers.runOut()
        await eventually(() => expect(anna.types()).toEqual(['peer-joined', 'negotiation', 'peer-left']))
        expect(await bus.members(`room:${room}`)).toHaveLength(1)
        expect(await anna.seat.signal(returning, 'gone')).toBe(false)
        expect((await there.enter(room, 'Vera')).seat).toBeDefined()
      }
    },
  )
})

test('numbers of negotiations grow over returns, whichever process serves the peer', async () => {
  const rooms = [openRooms(processes[0].bus), openRooms(processes[1].bus)] as const
  const room = makeRoomName('pair')
  const anna = await rooms[0].enter(room, 'Anna')
  let boris = await rooms[1].enter(room, 'Boris')
  const numbers = () => anna.told.flatMap((message) => (message.type === 'signal' ? [message.n] : []))
  for (let round = 0; round < 6; round += 1) {
    await Promise.all([1, 2, 3].map((i) => boris.seat.signal(anna.seat.id, `offer ${i}`)))
    await eventually(() => expect(numbers()).toHaveLength(3 * (round + 1)))
    boris = await rooms[(round % 2) as 0 | 1].enter(room, 'Boris', { returning: boris.seat.id })
  }
  expect(numbers()).toEqual([...new Set(numbers())].sort((a, b) => a - b))
})

describe('over sockets', () => {
  const apps: CallsApp[] = []
  const clients: CallClient[] = []
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) socket.terminate()
    for (const app of apps.splice(0)) await app.close()
  })

  test('one socket goes on, the other is told that it does', async () => {
    for (const { bus } of processes) apps.push(await startCalls({ bus }))
    for (let round = 0; round < ROUNDS; round += 1) {
      const room = makeRoomName(round % 2 === 0 ? 'pair' : 'group')
      const open = async (i: number, name: string) => {
        const client = await openCall((apps[i] as CallsApp).url, { headers: { 'x-test-user': name } })
        clients.push(client)
        return client
      }
      const [anna, boris] = [await open(0, 'Anna'), await open(1, 'Boris')]
      await anna.join(room)
      const { you } = await boris.join(room)
      await anna.next('peer-joined')
      await cut(boris)
      const both = [await open(0, 'Boris'), await open(round % 4 < 2 ? 0 : 1, 'Boris')]
      for (const one of both) one.send({ type: 'join', room, resume: you.resume })
      const isTaken = ({ messages }: CallClient) => messages.some(({ type }) => type === 'bye')
      await eventually(() => expect(both.map(isTaken).sort()).toEqual([false, true]))
      const taken = both.find(isTaken) as CallClient
      expect(taken.messages.at(-1)).toEqual({ type: 'bye', reason: 'taken' })
      expect(taken.messages.map(({ type }) => type)).not.toContain('error')
      const stays = both.find((one) => one !== taken) as CallClient
      expect(await stays.next('joined')).toMatchObject({ you: { id: you.id }, resumed: true })
      await anna.settle()
      expect(anna.messages.map(({ type }) => type)).not.toContain('peer-left')
      stays.send({ type: 'leave' })
      expect(await anna.next('peer-left')).toMatchObject({ id: you.id })
    }
  })
})
