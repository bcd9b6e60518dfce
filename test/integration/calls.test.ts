// Calls over real sockets: joining, signalling, talking, returning, and the end of the app.

import { makeRoomName } from '../../src/features/calls/room-name.ts'
import { guestKey } from '../../src/features/calls/tokens/guest-link.ts'
import { HEARTBEAT_MS } from '../../src/http/sockets/sockets.ts'
import { createCallBus } from '../helpers/call-bus.ts'
import { type CallClient, cut, openCall } from '../helpers/call-client.ts'
import { CALL_SECRETS, type CallsApp, type CallsAppOptions, startCalls } from '../helpers/calls-app.ts'
import { createClock } from '../helpers/clock.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'

const apps: CallsApp[] = []
const clients: CallClient[] = []

async function start(options?: CallsAppOptions): Promise<CallsApp> {
  const app = await startCalls(options)
  apps.push(app)
  return app
}
async function call(app: CallsApp, name?: string, key?: string): Promise<CallClient> {
  const client = await openCall(app.url, {
    ...(name !== undefined && { headers: { 'x-test-user': name } }),
    ...(key !== undefined && { key }),
  })
  clients.push(client)
  return client
}
/** Two who are in one room, and have seen one another. */
async function talk(app: CallsApp, room = makeRoomName('pair')) {
  const [anna, boris] = [await call(app, 'Anna'), await call(app, 'Boris')]
  const annaJoined = await anna.join(room)
  const borisJoined = await boris.join(room)
  await anna.next('peer-joined')
  return { room, anna, boris, annaJoined, borisJoined }
}

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate()
  for (const app of apps.splice(0)) await app.close()
})

test('two find one another, signal, talk, and part', async () => {
  const { anna, boris, annaJoined, borisJoined } = await talk(await start())
  expect(annaJoined).toMatchObject({ you: { name: 'Anna' }, peers: [], resumed: false, recovered: true })
  expect(borisJoined.peers).toMatchObject([{ id: annaJoined.you.id, name: 'Anna' }])
  expect(borisJoined.iceServers).toEqual([{ urls: 'stun:stun.example.org' }])

  boris.send({ type: 'signal', to: annaJoined.you.id, data: { description: { type: 'offer', sdp: 'v=0' } } })
  const offer = await anna.next('signal')
  expect(offer).toMatchObject({ from: borisJoined.you.id, data: { description: { type: 'offer' } } })
  expect(await boris.next('negotiation')).toMatchObject({ with: annaJoined.you.id, n: offer.n })
  anna.send({ type: 'signal', to: borisJoined.you.id, data: { description: { type: 'answer' } }, n: offer.n })
  expect(await boris.next('signal')).toMatchObject({ n: offer.n, from: annaJoined.you.id })

  anna.send({ type: 'say', data: { text: 'Привет' } })
  for (const one of [anna, boris]) {
    expect(await one.next('said')).toMatchObject({ name: 'Anna', data: { text: 'Привет' } })
  }
  boris.send({ type: 'leave' })
  expect(await anna.next('peer-left')).toEqual({ type: 'peer-left', id: borisJoined.you.id, reason: 'left' })
  boris.send({ type: 'say', data: 'still here?' })
  expect(await boris.next('error')).toEqual({ type: 'error', code: 'not_joined' })
})

test('who speaks is what the server knows, whatever the message says', async () => {
  const { anna, boris, annaJoined, borisJoined } = await talk(await start())
  const forged = { from: annaJoined.you.id, name: 'Anna', you: annaJoined.you.id }
  boris.send({ type: 'signal', to: annaJoined.you.id, data: 'forged', ...forged })
  boris.send({ type: 'say', data: 'forged', ...forged })
  expect(await anna.next('signal')).toMatchObject({ from: borisJoined.you.id })
  expect(await anna.next('said')).toMatchObject({ from: borisJoined.you.id, name: 'Boris' })
})

test('a pair is full with two, a stranger in another room is out of reach', async () => {
  const app = await start()
  const { room, boris } = await talk(app)
  const third = await call(app, 'Vera')
  third.send({ type: 'join', room })
  expect(await third.next('error')).toEqual({ type: 'error', code: 'room_full' })
  const { you } = await third.join(makeRoomName('group'))
  boris.send({ type: 'signal', to: you.id, data: 'hello' })
  expect(await boris.next('error')).toEqual({ type: 'error', code: 'no_such_peer' })
  boris.send({ type: 'join', room })
  expect(await boris.next('error', ({ code }) => code === 'already_joined')).toBeDefined()
  await third.settle()
  expect(third.messages.map(({ type }) => type)).not.toContain('signal')
})

test('guests enter the room of their link and no other, and have the name they give', async () => {
  const app = await start()
  const room = makeRoomName('group')
  const guest = await call(app, undefined, guestKey(room, Date.now(), CALL_SECRETS))
  guest.send({ type: 'join', room: makeRoomName('group') })
  expect(await guest.next('error')).toEqual({ type: 'error', code: 'room_closed_to_you' })
  const { you } = await guest.join(room, { name: '  Гость  ' })
  expect(you.name).toBe('Гость')
})

test('a lost socket keeps its seat for 30 s: the same peer returns, and hears what it missed', async () => {
  const { room, anna, boris, annaJoined, borisJoined } = await talk(await start())
  await boris.settle()
  const pong = await boris.next('pong')
  await cut(boris)
  anna.send({ type: 'signal', to: borisJoined.you.id, data: 'while away' })
  anna.send({ type: 'say', data: 'anybody there?' })
  await anna.next('said')
  const again = await call(apps[0]!, 'Boris')
  const { resume, epoch, offset, signals } = pong
  const joined = await again.join(room, { resume, since: { epoch, offset, signals } })
  expect(joined).toMatchObject({ you: { id: borisJoined.you.id }, resumed: true, recovered: true })
  expect(joined.peers).toMatchObject([{ id: annaJoined.you.id }])
  expect(await again.next('said')).toMatchObject({ data: 'anybody there?' })
  expect(await again.next('signal')).toMatchObject({ data: 'while away', from: annaJoined.you.id })
  await anna.settle()
  expect(anna.messages.map(({ type }) => type)).not.toContain('peer-left')
})

test('after 30 s the seat is free, and who returns is somebody new', async () => {
  const { now, turn } = createClock(Date.now())
  const timers: { ms: number; call: () => void }[] = []
  const app = await start({
    now,
    startTimer(ms, call) {
      timers.push({ ms, call })
      return () => {}
    },
  })
  const { room, anna, boris, borisJoined } = await talk(app)
  await cut(boris)
  const timer = await eventually(() => {
    const found = timers.find(({ ms }) => ms === 30_000)
    if (!found) throw new Error('nobody waits for the peer')
    return found
  })
  turn(30_000)
  timer.call()
  expect(await anna.next('peer-left')).toMatchObject({ id: borisJoined.you.id, reason: 'left' })
  const again = await call(app, 'Boris')
  const { you, resumed } = await again.join(room, { resume: borisJoined.you.resume })
  expect(resumed).toBe(false)
  expect(you.id).not.toBe(borisJoined.you.id)
})

test('a page that is closed leaves at once', async () => {
  const { anna, boris } = await talk(await start())
  boris.socket.close(1001)
  expect(await anna.next('peer-left')).toMatchObject({ reason: 'left' })
})

test('a token of somebody who was logged in is of no use to the guest of a link', async () => {
  const { room, boris, borisJoined } = await talk(await start(), makeRoomName('group'))
  await cut(boris)
  const guest = await call(apps[0]!, undefined, guestKey(room, Date.now(), CALL_SECRETS))
  const { you, resumed } = await guest.join(room, { resume: borisJoined.you.resume })
  expect(resumed).toBe(false)
  expect(you.id).not.toBe(borisJoined.you.id)
})

test('a second socket of the same peer takes over from the first', async () => {
  const app = await start()
  const { room, boris, borisJoined } = await talk(app)
  const again = await call(app, 'Boris')
  const joined = await again.join(room, { resume: borisJoined.you.resume })
  expect(joined.you.id).toBe(borisJoined.you.id)
  expect(await boris.next('bye')).toEqual({ type: 'bye', reason: 'taken' })
  expect(await boris.closed).toBe(4001)
})

test('when the app stops, sockets are told to return, and are who they were at its successor', async () => {
  const bus = createCallBus()
  const { room, boris, borisJoined } = await talk(await start({ bus }))
  const { tookMs } = await timed(async () => apps[0]?.close())
  expect(tookMs).toBeLessThan(1_500) // half a second is left to the last requests, three more to what does not end
  expect(boris.messages.at(-1)).toEqual({ type: 'bye', reason: 'restart' })
  expect(await boris.closed).toBe(1012)
  const again = await call(await start({ bus }), 'Boris')
  const joined = await again.join(room, { resume: borisJoined.you.resume })
  expect(joined).toMatchObject({ you: { id: borisJoined.you.id }, resumed: true })
})

test('sockets of two processes meet in one room', async () => {
  const bus = createCallBus()
  const [here, there] = [await start({ bus }), await start({ bus })]
  const room = makeRoomName('pair')
  const [anna, boris] = [await call(here, 'Anna'), await call(there, 'Boris')]
  const { you } = await anna.join(room)
  await boris.join(room)
  boris.send({ type: 'signal', to: you.id, data: 'across' })
  expect(await anna.next('signal')).toMatchObject({ data: 'across' })
})

describe('the heartbeat', () => {
  async function beating() {
    const beats: (() => void)[] = []
    const app = await start({
      startTimer(ms, beat) {
        if (ms === HEARTBEAT_MS) beats.push(beat)
        return () => {}
      },
    })
    return { app, beat: () => beats.shift()?.() }
  }

  test('ends a socket that does not answer, and keeps its seat', async () => {
    const { app, beat } = await beating()
    const { anna, boris } = await talk(app)
    boris.socket.pause() // the connection stands, and nobody is there
    beat()
    await eventually(() => expect(app.sockets.sockets()).toBe(2))
    await anna.settle()
    beat()
    await eventually(() => expect(app.sockets.sockets()).toBe(1))
    expect(app.rooms.seats()).toBe(2)
    expect(anna.messages.map(({ type }) => type)).not.toContain('peer-left')
  })

  test('ends a socket that never joins, and one whose user has logged out', async () => {
    const { app, beat } = await beating()
    const { boris } = await talk(app)
    const idle = await call(app, 'Idle')
    beat()
    for (const one of [boris, idle]) await one.settle()
    app.loggedOut.add('Boris')
    beat()
    expect(await idle.closed).toBe(1008)
    expect(idle.messages.at(-1)).toEqual({ type: 'bye', reason: 'idle' })
    expect(await boris.closed).toBe(1008)
    expect(boris.messages.at(-1)).toEqual({ type: 'bye', reason: 'logged_out' })
  })

  test('whoever has logged out has no seat from then on, and a link does not give it back', async () => {
    const { app, beat } = await beating()
    const { room, anna, borisJoined } = await talk(app)
    app.loggedOut.add('Boris')
    beat()
    const gone = { type: 'peer-left', id: borisJoined.you.id, reason: 'left' }
    expect(await anna.next('peer-left')).toEqual(gone)
    expect(app.rooms.seats()).toBe(1)
    const guest = await call(app, undefined, guestKey(room, Date.now(), CALL_SECRETS))
    const { you, resumed } = await guest.join(room, { resume: borisJoined.you.resume })
    expect(resumed).toBe(false)
    expect(you.id).not.toBe(borisJoined.you.id)
  })
})

test('nothing that happened here was logged as a failure', async () => {
  const app = await start()
  const { anna } = await talk(app)
  await cut(anna)
  expect(app.lines.filter(({ level }) => level === 'error')).toEqual([])
})
