// A call of two whose peers are served by different processes, while both are without Redis.
import type { ServerMessage } from '../../src/features/calls/protocol.ts'
import { createRooms } from '../../src/features/calls/room.ts'
import { capacityOf, makeRoomName } from '../../src/features/calls/room-name.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/fault-proxy.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

interface Node {
  readonly proxy: FaultProxy
  readonly process: TestProcess
  readonly rooms: ReturnType<typeof createRooms>
}

let redis: TestRedis
let nodes: Node[]

beforeEach(async () => {
  redis = await startRedis()
  nodes = []
  for (let i = 0; i < 2; i += 1) {
    const proxy = await openFaultProxy(redis.port)
    const process = await openProcess({ cacheUrl: proxy.url })
    await process.untilStatus('redis')
    nodes.push({ proxy, process, rooms: createRooms({ bus: process.bus, capacityOf }) })
  }
})
afterEach(async () => {
  for (const { proxy, process, rooms } of nodes) {
    rooms.close()
    await process.close()
    proxy.close()
  }
  await redis.stop()
})

/** A peer, and whom it takes for present by what it was told. */
async function join({ rooms }: Node, room: string, name: string) {
  const there = new Map<string, string>()
  const told: string[] = []
  function tell(message: ServerMessage): void {
    told.push(message.type)
    if (message.type === 'gap') there.clear()
    if (message.type === 'gap') for (const peer of message.peers) there.set(peer.id, peer.name)
    else if (message.type === 'peer-joined') there.set(message.peer.id, message.peer.name)
    else if (message.type === 'peer-left') there.delete(message.id)
  }
  function failed(error: unknown): void {
    throw error
  }
  const listener = { tell, taken() {}, failed }
  const seat = await rooms.join(
    { room, name, guest: true, returning: undefined, since: undefined, listener },
    (_seat, { peers }) => {
      for (const peer of peers) there.set(peer.id, peer.name)
    },
  )
  if (!seat) throw new Error('the room is full')
  return { seat, told, there: () => [...there.values()] }
}

async function leaveRedis({ proxy, process }: Node): Promise<void> {
  proxy.set('refuse')
  await eventually(() => expect(process.stateRole.status().status).toBe('memory'))
}

async function returnToRedis({ proxy, process }: Node): Promise<void> {
  proxy.set('none')
  await process.untilStatus('redis')
}

async function inCall() {
  const [one, two] = nodes as [Node, Node]
  const room = makeRoomName('pair')
  const anna = await join(one, room, 'Anna')
  const boris = await join(two, room, 'Boris')
  await eventually(() => expect(anna.there()).toEqual(['Boris']))
  async function expectWhole(): Promise<void> {
    expect([anna.there(), boris.there()]).toEqual([['Boris'], ['Anna']])
    expect(await anna.seat.signal(boris.seat.id, 'a')).toBe(true)
    expect(await boris.seat.signal(anna.seat.id, 'b')).toBe(true)
  }
  return { one, two, room, anna, boris, expectWhole }
}

test('who has only just come stays through the beginning of an outage', async () => {
  const { anna, boris, expectWhole } = await inCall()
  await redis.kill()
  for (const { told } of [anna, boris]) await eventually(() => expect(told).toContain('gap'))
  await expectWhole()
})

test('after an outage that is longer than a lease both are there again', async () => {
  const { one, two, room, anna, expectWhole } = await inCall()
  for (const node of [one, two]) await leaveRedis(node)
  await redis.command(
    'EVAL',
    `local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do redis.call('HSET', KEYS[1], all[i], (string.gsub(all[i + 1], '^%d+', '1'))) end
    return #all`,
    '1',
    `samovar:bus:{room:${room}}:here`,
  )
  await returnToRedis(one)
  await eventually(() => expect(anna.there()).toEqual([]))
  await returnToRedis(two)
  await eventually(expectWhole)
})
