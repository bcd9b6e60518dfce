// samovar/socket.io: the library and its client, two servers over one Redis, which is killed, frozen and emptied.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { io, type Socket } from 'socket.io-client'
import { createSocketAdapter } from '../../src/adapters/socket.io.ts'
import { decodePacket, encodePacket } from '../../src/adapters/socket-packets.ts'
import { eventually } from '../helpers/eventually.ts'
import { breakRedis, faults, mendRedis, soon, usePackageWorld } from '../helpers/package-world.ts'

const world = usePackageWorld()

/** A process of an app: whoever connects is in the room `all`. */
async function openServer() {
  const samovar = await world.open()
  const http = createServer()
  const server = new Server(http, {
    adapter: createSocketAdapter(samovar) as never,
    connectionStateRecovery: { maxDisconnectionDuration: 60_000 },
  })
  server.on('connection', (socket) => void socket.join('all'))
  http.listen(0)
  await once(http, 'listening')
  world.closeLater(() => server.close())
  return { samovar, server, origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}` }
}

async function connect(origin: string) {
  const socket = io(origin, { transports: ['websocket'], reconnectionDelay: 50, reconnectionDelayMax: 100 })
  const heard: unknown[] = []
  socket.on('news', (what: unknown) => heard.push(what))
  world.closeLater(async () => void socket.disconnect())
  await connected(socket)
  return { socket, heard }
}

const connected = (socket: Socket) => eventually(() => expect(socket.connected).toBe(true))

/** Without a word, as when a phone loses its network. */
const cut = (socket: Socket) => socket.io.engine.close()

test('rooms, answers and sockets of two servers', async () => {
  const [one, two] = [await openServer(), await openServer()]
  const [a, b] = [await connect(one.origin), await connect(two.origin)]
  await eventually(async () => expect(await one.server.fetchSockets()).toHaveLength(2))
  one.server.to('all').emit('news', 'of one', Buffer.from([0, 255]))
  two.server.to('all').except(String(b.socket.id)).emit('news', 'not for b')
  await eventually(() => expect(a.heard).toEqual(['of one', 'not for b']))
  await eventually(() => expect(b.heard).toEqual(['of one']))
  for (const { socket } of [a, b]) socket.on('ask', (answer: (said: string) => void) => answer('yes'))
  expect(await one.server.timeout(20_000).emitWithAck('ask')).toEqual(['yes', 'yes'])
  two.server.in('all').socketsJoin('more')
  await eventually(async () => expect(await two.server.in('more').fetchSockets()).toHaveLength(2))
})

test.each(['killed', 'frozen'] as const)(
  'Redis %s: everybody hears those of his server, and the others later',
  async (fault) => {
    const [one, two] = [await openServer(), await openServer()]
    const [a, b] = [await connect(one.origin), await connect(two.origin)]
    one.server.emit('news', 1)
    await eventually(() => expect(b.heard).toEqual([1]))
    await breakRedis(world.redis, fault)
    one.server.emit('news', 2)
    await eventually(() => expect(a.heard).toEqual([1, 2]))
    await mendRedis(world.redis, fault)
    await eventually(() => expect(b.heard).toEqual([1, 2]))
    one.server.emit('news', 3)
    await eventually(() => expect(a.heard).toEqual([1, 2, 3]))
    await eventually(() => expect(b.heard).toEqual([1, 2, 3]))
  },
)

test('a client that comes back is given what it missed, in order', async () => {
  const { server, origin } = await openServer()
  const { socket, heard } = await connect(origin)
  server.to('all').emit('news', 1)
  await eventually(() => expect(heard).toEqual([1]))
  cut(socket)
  server.to('all').emit('news', 2)
  server.to('nobody').emit('news', 'not for it')
  server.to('all').emit('news', 3)
  await connected(socket)
  await eventually(() => expect(heard).toEqual([1, 2, 3]))
  expect(socket.recovered).toBe(true)
})

test.each(faults)(
  'Redis %s: a client that comes back to its server is given what it missed',
  async (fault) => {
    const { server, origin } = await openServer()
    const { socket, heard } = await connect(origin)
    server.to('all').emit('news', 1)
    await eventually(() => expect(heard).toEqual([1]))
    socket.io.reconnection(false)
    cut(socket)
    await eventually(() => expect(server.sockets.sockets.size).toBe(0))
    server.to('all').emit('news', 2)
    await breakRedis(world.redis, fault)
    server.to('all').emit('news', 3)
    socket.io.reconnection(true)
    socket.connect()
    await connected(socket)
    expect(socket.recovered).toBe(true)
    await eventually(() => expect(heard).toEqual([1, 2, 3]))
    await mendRedis(world.redis, fault)
    server.to('all').emit('news', 4)
    await eventually(() => expect(heard).toEqual([1, 2, 3, 4]))
  },
)

test('while Redis is away a server waits for no other', async () => {
  const [one, two] = [await openServer(), await openServer()]
  await connect(one.origin)
  await connect(two.origin)
  await eventually(async () => expect(await one.server.fetchSockets()).toHaveLength(2))
  await world.redis.kill()
  await eventually(() => expect(one.samovar.status().status).toBe('memory'))
  expect(await soon(() => one.server.fetchSockets())).toHaveLength(1)
})

test('packets are the same after they were JSON', () => {
  const packet = [
    { bytes: Buffer.from([1]), list: [null, 'x'] },
    { $bytes: 'not ours' },
    { $object: { a: 1 } },
  ]
  expect(decodePacket(JSON.parse(JSON.stringify(encodePacket(packet))))).toEqual(packet)
  expect(decodePacket(encodePacket({ at: new Date(0), none: undefined }))).toEqual({
    at: '1970-01-01T00:00:00.000Z',
  })
})
