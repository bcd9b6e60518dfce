// Sockets of those who mean harm, or know no better: each is refused by a rule, while two others go on talking and the
// process stays as small as it was.
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type WebSocket from 'ws'
import { makeRoomName } from '../../src/features/calls/room-name.ts'
import { guestKey } from '../../src/features/calls/tokens/guest-link.ts'
import { createCallBus } from '../helpers/call-bus.ts'
import { type CallClient, openCall } from '../helpers/call-client.ts'
import { CALL_SECRETS, type CallsApp, startCalls } from '../helpers/calls-app.ts'
import { eventually } from '../helpers/eventually.ts'

const MOST_SOCKETS = 150
const user = (name: string) => ({ headers: { 'x-test-user': name } })

const bus = createCallBus()
let app: CallsApp
let good: { anna: CallClient; boris: CallClient; anna_id: string }
let startHeap: number
const clients: CallClient[] = []
let words = 0

beforeAll(async () => {
  app = await startCalls({ bus, mostSockets: MOST_SOCKETS })
  const [anna, boris] = [await openCall(app.url, user('Anna')), await openCall(app.url, user('Boris'))]
  const room = makeRoomName('pair')
  const { you } = await anna.join(room)
  await boris.join(room)
  good = { anna, boris, anna_id: you.id }
  startHeap = heapBytes()
})
afterAll(async () => {
  for (const { socket } of [good.anna, good.boris]) socket.terminate()
  await app.close()
})
/** A client that is gone after its test. */
async function open(options?: Parameters<typeof openCall>[1]): Promise<CallClient> {
  const client = await openCall(app.url, options)
  clients.push(client)
  return client
}

// The two hear one another after each attack, and nobody but them is left.
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate()
  words += 1
  good.boris.send({ type: 'signal', to: good.anna_id, data: words })
  await good.anna.next('signal', ({ data }) => data === words)
  await eventually(() => expect(app.sockets.sockets()).toBe(2))
  expect(app.lines.filter(({ level }) => level === 'error')).toEqual([])
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

const errorsOf = ({ messages }: CallClient) =>
  messages.flatMap((message) => (message.type === 'error' ? [message.code] : []))

describe('at the door', () => {
  const room = makeRoomName('pair')
  const old = guestKey(room, Date.now() - 25 * 3_600_000, CALL_SECRETS)
  const forged = guestKey(room, Date.now(), ['another secret'])

  test.each<[string, Parameters<typeof openCall>[1], number]>([
    ['no session', {}, 401],
    ['a forged key', { key: forged }, 401],
    ['a key of yesterday', { key: old }, 401],
    ['another site', { headers: { 'x-test-user': 'Eve', origin: 'https://evil.example' } }, 403],
    ['another port of this host', { headers: { 'x-test-user': 'Eve', origin: 'http://127.0.0.1:1' } }, 403],
    ['a page without an origin', { headers: { 'x-test-user': 'Eve', origin: 'null' } }, 403],
  ])('%s', async (_name, options, status) => {
    await expect(open(options)).rejects.toThrow(`refused: ${status}`)
  })

  test('our own page comes in', async () => {
    await (await open({ headers: { 'x-test-user': 'Vera', origin: app.url } })).settle()
  })

  test('another path, another protocol, and no upgrade at all', async () => {
    const answer = (lines: string[]) =>
      new Promise<string>((resolve) => {
        const socket = connect(app.port, '127.0.0.1')
        let text = ''
        socket.on('data', (bytes) => {
          text += bytes
        })
        socket.on('close', () => resolve(text.split('\r\n')[0] ?? ''))
        socket.write(`${lines.join('\r\n')}\r\n\r\n`)
      })
    const upgrade = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'x-test-user: Eve']
    expect(await answer(['GET /elsewhere HTTP/1.1', ...upgrade])).toBe('HTTP/1.1 404 Not Found')
    expect(await answer(['GET /ws HTTP/1.1', ...upgrade])).toBe('HTTP/1.1 400 Bad Request') // no key
    expect((await fetch(`${app.url}/ws`)).status).toBe(426)
  })

  test(`at most ${MOST_SOCKETS} in the process, at most 100 from one address`, async () => {
    const from = (address: string) => ({ headers: { 'x-test-user': 'Eve', 'x-forwarded-for': address } })
    for (let i = 0; i < 100; i += 1) await open(from('198.51.100.7'))
    await expect(open(from('198.51.100.7'))).rejects.toThrow('refused: 429')
    while (app.sockets.sockets() < MOST_SOCKETS) await open(user('Eve'))
    await expect(open(user('Eve'))).rejects.toThrow('refused: 503')
  })
})

test.each<[string, (socket: WebSocket) => void, number]>([
  ['more than 64 KiB', (socket) => socket.send(`"${'x'.repeat(64 * 1024)}"`), 1009],
  ['bytes', (socket) => socket.send(Buffer.from([1, 2, 3])), 1003],
  ['what is not UTF-8', (socket) => socket.send(Buffer.from([0xff, 0xfe]), { binary: false }), 1007],
])('%s: the socket is closed with the code for it', async (_name, attack, code) => {
  const client = await open(user('Eve'))
  attack(client.socket)
  expect(await client.closed).toBe(code)
})

test('bytes: the seat is free at once', async () => {
  const room = makeRoomName('pair')
  const [other, client] = [await open(user('Vera')), await open(user('Eve'))]
  await other.join(room)
  const { you } = await client.join(room)
  client.socket.send(Buffer.from([1, 2, 3]))
  expect(await client.closed).toBe(1003)
  expect(await other.next('peer-left')).toEqual({ type: 'peer-left', id: you.id, reason: 'left' })
  other.send({ type: 'leave' })
  await other.settle()
})

const deep = (depth: number) => `{"type":"say","data":${'['.repeat(depth)}${']'.repeat(depth)}}`

test.each<[string, string]>([
  ['no JSON', '{"type":'],
  ['JSON of another shape', '[]'],
  ['an unknown type', '{"type":"shout"}'],
  ['no type', '{"to":"me"}'],
  ['JSON 10,000 levels deep', deep(10_000)],
  ['JSON 17 levels deep', deep(17)],
  ['JSON of 1,001 values', `{"type":"say","data":[${Array(1_000).fill('{}')}]}`],
  ['a room with another name', '{"type":"join","room":"../../etc"}'],
  ['a number where a text belongs', '{"type":"signal","to":1,"data":{}}'],
  ['a signal without data', '{"type":"signal","to":"x"}'],
])('%s is answered bad_message, and the tenth time is the last', async (_name, text) => {
  const client = await open(user('Eve'))
  for (let i = 0; i < 9; i += 1) client.send(text)
  await client.settle()
  expect(errorsOf(client)).toEqual(Array(9).fill('bad_message'))
  client.send(text)
  expect(await client.closed).toBe(1008)
  expect(client.messages.at(-1)).toEqual({ type: 'bye', reason: 'refused' })
})

test('JSON 32,000 levels deep is no message either', async () => {
  const client = await open(user('Eve'))
  client.send(deep(32_000))
  await client.settle()
  expect(errorsOf(client)).toEqual(['bad_message'])
})

test('100,000 pings: 50 are answered, the rest is not read', async () => {
  const client = await open(user('Eve'))
  const before = heapBytes()
  for (let i = 0; i < 100_000; i += 1) client.send('{"type":"ping"}')
  expect([1008, 1006]).toContain(await client.closed) // 1006: it was still sending when its time was up
  const pongs = client.messages.filter(({ type }) => type === 'pong').length
  expect(pongs).toBeLessThanOrEqual(50)
  expect(errorsOf(client)).toEqual(['too_many_messages'])
  expect(heapBytes() - before).toBeLessThan(40_000_000)
})

test('10,000 joins: the socket is closed by its 51st message, and no seat is left', async () => {
  const client = await open(user('Eve'))
  for (let i = 0; i < 10_000; i += 1) client.send({ type: 'join', room: `group-${'0'.repeat(20)}${i}` })
  expect([1008, 1006]).toContain(await client.closed)
  expect(client.messages.filter(({ type }) => type === 'joined').length).toBeLessThanOrEqual(1)
  expect(errorsOf(client)).toContain('too_many_messages')
  await eventually(() => expect(app.rooms.seats()).toBe(2))
})

test('joining and leaving room after room ends with the 21st in a minute', async () => {
  const client = await open(user('Eve'))
  for (let i = 0; i < 21; i += 1) {
    client.send({ type: 'join', room: makeRoomName('group') })
    client.send({ type: 'leave' })
  }
  expect(await client.closed).toBe(1008)
  expect(errorsOf(client)).toEqual(['too_many_joins'])
  expect(client.messages.filter(({ type }) => type === 'joined')).toHaveLength(20)
})

test('one that does not read is dropped, and those who talk to it are not held up', async () => {
  const room = makeRoomName('pair')
  const [talker, deaf] = [await open(user('Talker')), await open(user('Deaf'))]
  const { you } = await talker.join(room)
  await deaf.join(room)
  deaf.socket.pause()
  // What a thousand sockets could say together: more than its connection and its buffer here hold.
  const said = { type: 'said', from: you.id, name: 'Talker', data: 'x'.repeat(60_000) }
  for (let i = 0; i < 400; i += 1) {
    await bus.publish(`room:${room}`, said)
    await new Promise(setImmediate)
  }
  await eventually(() => expect(app.sockets.sockets()).toBe(3))
  await talker.settle()
  expect(talker.messages.filter(({ type }) => type === 'said')).toHaveLength(400)
  talker.messages.length = 0
})

test('more than 300 KiB in ten seconds are too many', async () => {
  const client = await open(user('Eve'))
  await client.join(makeRoomName('pair'))
  for (let i = 0; i < 6; i += 1) client.send({ type: 'say', data: 'x'.repeat(60_000) })
  expect(await client.closed).toBe(1008)
  expect(errorsOf(client)).toEqual(['too_many_messages'])
})

test('connections that begin an upgrade and never finish it hold nothing', async () => {
  const halves = Array.from({ length: 50 }, () => {
    const socket = connect(app.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n')
    return socket
  })
  const client = await open(user('Vera'))
  await client.settle()
  expect(app.sockets.sockets()).toBe(3)
  for (const socket of halves) socket.destroy()
})

test('after all of it the heap is what it was', async () => {
  await eventually(() => expect(heapBytes() - startHeap).toBeLessThan(30_000_000))
  expect(app.rooms.seats()).toBeLessThan(20) // those of lost sockets wait for 30 s
})
