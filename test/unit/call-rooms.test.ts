// Seats in rooms, without sockets: who is told what, who is the same one again, and who is gone.

import type { Bus, Member } from '../../src/core/bus/bus.ts'
import type { ServerMessage } from '../../src/features/calls/protocol.ts'
import { createRooms } from '../../src/features/calls/room.ts'
import { capacityOf } from '../../src/features/calls/room-name.ts'
import type { Seat } from '../../src/features/calls/seat.ts'
import { RESUME_MS } from '../../src/features/calls/tokens/resume-token.ts'
import { createCallBus } from '../helpers/call-bus.ts'
import { openRooms } from '../helpers/call-rooms.ts'

const PAIR = 'pair-0123456789'
const GROUP = 'group-0123456789'

const open = (bus = createCallBus()) => openRooms(bus)

async function memberOf(bus: Bus, room: string, { id: peer }: Seat): Promise<Member> {
  return (await bus.members(`room:${room}`)).find(({ id }) => id.startsWith(peer)) as Member
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('a pair has two seats, a group eight, and a seat that is left is free', async () => {
  const { enter } = open()
  const first = await enter(PAIR, 'Anna')
  await enter(PAIR, 'Boris')
  expect((await enter(PAIR, 'Vera')).seat).toBeUndefined()
  await first.seat.leave()
  expect((await enter(PAIR, 'Vera')).seat).toBeDefined()

  for (let i = 0; i < 8; i += 1) expect((await enter(GROUP, `Peer ${i}`)).seat).toBeDefined()
  expect((await enter(GROUP, 'One too many')).seat).toBeUndefined()
})

test('those who are there are listed, those who come and go announced, and of two exactly one is polite', async () => {
  const { enter } = open()
  const anna = await enter(GROUP, 'Anna')
  const boris = await enter(GROUP, 'Boris')
  expect(anna.welcome.peers).toEqual([])
  const [listed] = boris.welcome.peers
  expect(listed).toMatchObject({ id: anna.seat.id, name: 'Anna' })
  const [announced] = anna.told as [ServerMessage & { type: 'peer-joined' }]
  expect(announced).toMatchObject({ type: 'peer-joined', peer: { id: boris.seat.id, name: 'Boris' } })
  expect(announced.peer.polite).not.toBe(listed?.polite)
  await boris.seat.leave()
  expect(anna.told.at(-1)).toEqual({ type: 'peer-left', id: boris.seat.id, reason: 'left' })
})

test('a negotiation is numbered, and two that are opened at once have two numbers', async () => {
  const { enter } = open()
  const [anna, boris] = [await enter(PAIR, 'Anna'), await enter(PAIR, 'Boris')]
  await Promise.all([anna.seat.signal(boris.seat.id, 'offer A'), boris.seat.signal(anna.seat.id, 'offer B')])
  const number = (told: ServerMessage[]) =>
    told.find((message) => message.type === 'negotiation') as ServerMessage & { type: 'negotiation' }
  expect(number(anna.told).n).not.toBe(number(boris.told).n)
  expect(boris.told).toContainEqual(
    expect.objectContaining({ type: 'signal', from: anna.seat.id, n: number(anna.told).n, data: 'offer A' }),
  )
  await anna.seat.signal(boris.seat.id, 'offer again')
  const again = await enter(PAIR, 'Anna', { returning: anna.seat.id })
  await again.seat.signal(boris.seat.id, 'offer after the return')
  const numbers = boris.told.flatMap((message) => (message.type === 'signal' ? [message.n] : []))
  expect(numbers).toHaveLength(3)
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
})

test('who is in another room cannot be signalled', async () => {
  const { enter } = open()
  const [anna, stranger] = [await enter(PAIR, 'Anna'), await enter(GROUP, 'Stranger')]
  expect(await anna.seat.signal(stranger.seat.id, 'hello')).toBe(false)
  expect(stranger.told).toEqual([])
})

test('a peer that returns is the same one, hears what it missed, and nobody else notices', async () => {
  const { enter, timers } = open()
  const [anna, boris] = [await enter(PAIR, 'Anna'), await enter(PAIR, 'Boris')]
  boris.seat.letGo()
  expect(timers.pending()).toEqual([RESUME_MS])
  await anna.seat.signal(boris.seat.id, 'missed signal')
  await anna.seat.say('missed word')
  const { epoch, offset, signals } = boris.welcome
  const again = await enter(PAIR, 'Boris', { returning: boris.seat.id, since: { epoch, offset, signals } })
  expect(again.seat.id).toBe(boris.seat.id)
  expect(again.welcome).toMatchObject({ resumed: true, recovered: true, peers: [{ id: anna.seat.id }] })
  expect(again.told).toMatchObject([
    { type: 'said', data: 'missed word' },
    { type: 'signal', data: 'missed signal' },
  ])
  expect(timers.pending()).toEqual([])
  expect(anna.types()).not.toContain('peer-left')
  expect(anna.types().filter((type) => type === 'peer-joined')).toHaveLength(1)
  await again.seat.leave()
  expect(anna.told.at(-1)).toMatchObject({ type: 'peer-left', id: boris.seat.id })
})

test('after the wait it is gone, and returns as somebody else', async () => {
  const { enter, timers } = open()
  const [anna, boris] = [await enter(PAIR, 'Anna'), await enter(PAIR, 'Boris')]
  boris.seat.letGo()
  timers.runOut()
  await settle()
  expect(anna.told.at(-1)).toMatchObject({ type: 'peer-left', id: boris.seat.id })
  const again = await enter(PAIR, 'Boris', { returning: boris.seat.id })
  expect(again.seat.id).not.toBe(boris.seat.id)
  expect(again.welcome.resumed).toBe(false)
})

test('a socket that is still half open gives way to the new one of the same peer', async () => {
  const { enter } = open()
  const [anna, boris] = [await enter(PAIR, 'Anna'), await enter(PAIR, 'Boris')]
  const again = await enter(PAIR, 'Boris', { returning: boris.seat.id })
  expect(boris.wasTaken()).toBe(true)
  boris.seat.letGo()
  await boris.seat.leave()
  expect(anna.types()).not.toContain('peer-left')
  await anna.seat.signal(boris.seat.id, 'to the new one')
  expect(again.told.at(-1)).toMatchObject({ data: 'to the new one' })
  expect(boris.types()).not.toContain('signal')
})

test('peers whose process is gone are lost, and may be the same again when it returns', async () => {
  const bus = createCallBus()
  const [here, there] = [open(bus), open(bus)]
  const [anna, boris] = [await here.enter(PAIR, 'Anna'), await there.enter(PAIR, 'Boris')]
  there.rooms.close() // the process ends: nobody says that it left
  expect(anna.types()).toEqual(['peer-joined'])
  await bus.lose(`room:${PAIR}`, await memberOf(bus, PAIR, boris.seat))
  expect(anna.told.at(-1)).toEqual({ type: 'peer-left', id: boris.seat.id, reason: 'lost' })
  const again = await here.enter(PAIR, 'Boris', { returning: boris.seat.id })
  expect(again.seat.id).toBe(boris.seat.id)
  expect(anna.types().filter((type) => type === 'peer-joined')).toHaveLength(2)
})

test('a peer that was lost and is back is told of, once', async () => {
  const { bus, enter } = open()
  const [anna, boris] = [await enter(PAIR, 'Anna'), await enter(PAIR, 'Boris')]
  const member = await memberOf(bus, PAIR, boris.seat)
  await bus.putBack(`room:${PAIR}`, member) // nobody missed it
  expect(anna.types()).toEqual(['peer-joined'])
  await bus.lose(`room:${PAIR}`, member)
  await settle()
  expect(await anna.seat.signal(boris.seat.id, 'to nobody')).toBe(false)
  await bus.putBack(`room:${PAIR}`, member)
  await bus.putBack(`room:${PAIR}`, member)
  await settle()
  expect(anna.types()).toEqual(['peer-joined', 'peer-left', 'peer-joined'])
  expect(anna.told.at(-1)).toMatchObject({ peer: { id: boris.seat.id, name: 'Boris' } })
  await anna.seat.signal(boris.seat.id, 'here again')
  expect(boris.told.at(-1)).toMatchObject({ data: 'here again' })
  expect(boris.types()).not.toContain('peer-joined')
})

test('a peer that is lost while somebody enters is told of after the welcome', async () => {
  const { bus, rooms, enter } = open()
  const anna = await enter(GROUP, 'Anna')
  const lost = await memberOf(bus, GROUP, anna.seat)
  const told: string[] = []
  const listener = { tell: ({ type }: ServerMessage) => void told.push(type), taken() {}, failed() {} }
  const others = createRooms({
    bus: {
      ...bus,
      async enter(...args) {
        const members = await bus.enter(...args)
        await bus.lose(`room:${GROUP}`, lost)
        return members
      },
    },
    capacityOf,
  })
  const entry = { room: GROUP, name: 'Boris', guest: true, returning: undefined, since: undefined, listener }
  await others.join(entry, (_seat, { peers }) => told.push(`welcome ${peers.map(({ name }) => name)}`))
  expect(told).toEqual(['welcome Anna', 'peer-left'])
  others.close()
  rooms.close()
})

test('a peer of another process takes its seat over, and a call goes on across both', async () => {
  const bus = createCallBus()
  const [here, there] = [open(bus), open(bus)]
  const [anna, boris] = [await here.enter(PAIR, 'Anna'), await here.enter(PAIR, 'Boris')]
  boris.seat.letGo()
  const again = await there.enter(PAIR, 'Boris', { returning: boris.seat.id })
  expect(again.seat.id).toBe(boris.seat.id)
  expect(here.timers.pending()).toEqual([])
  expect(here.rooms.seats()).toBe(1)
  await anna.seat.signal(boris.seat.id, 'across')
  expect(again.told.at(-1)).toMatchObject({ type: 'signal', data: 'across' })
  expect(anna.types()).not.toContain('peer-left')
})

test('a gap tells who is there', async () => {
  const { bus, enter } = open()
  const [anna, boris] = [await enter(GROUP, 'Anna'), await enter(GROUP, 'Boris')]
  await bus.gap(`room:${GROUP}`)
  await settle()
  expect(anna.told.at(-1)).toMatchObject({ type: 'gap', of: 'room', peers: [{ id: boris.seat.id }] })
})

describe.each([PAIR, GROUP])('two that return as one peer at once, in %s', (room) => {
  test('one of them has the seat, the other is told so, and nobody stays when it leaves', async () => {
    for (let round = 0; round < 20; round += 1) {
      const bus = createCallBus()
      const [here, there] = [open(bus), open(bus)]
      const anna = await here.enter(room, 'Anna')
      const boris = await here.enter(room, 'Boris')
      if (round % 2 === 0) boris.seat.letGo()
      const returning = boris.seat.id
      const both = await Promise.all(
        [here, there, here].map(({ enter }) => enter(room, 'Boris', { returning })),
      )
      await settle()
      const stays = both.filter(({ wasTaken }) => !wasTaken())
      expect(stays.map(({ seat }) => seat?.id)).toEqual([returning])
      expect(await bus.members(`room:${room}`)).toHaveLength(2)
      expect(anna.types()).toEqual(['peer-joined'])
      await anna.seat.signal(returning, round)
      expect(stays[0]?.told.at(-1)).toMatchObject({ data: round })
      await stays[0]?.seat.leave()
      here.timers.runOut()
      there.timers.runOut()
      await settle()
      expect(anna.types()).toEqual(['peer-joined', 'negotiation', 'peer-left'])
      expect(await bus.members(`room:${room}`)).toHaveLength(1)
      expect((await there.enter(room, 'Vera')).seat).toBeDefined()
    }
  })
})

/** A channel layer that does as it is told only when it is let. */
function createSlowBus() {
  const bus = createCallBus()
  const waiting: (() => void)[] = []
  let slow: (keyof Bus)[] = []
  const held = (call: keyof Bus) =>
    slow.includes(call) ? new Promise<void>((resolve) => waiting.push(resolve)) : undefined
  return {
    ...bus,
    async members(...args: Parameters<typeof bus.members>) {
      await held('members')
      return bus.members(...args)
    },
    async enter(...args: Parameters<typeof bus.enter>) {
      await held('enter')
      return bus.enter(...args)
    },
    async leave(...args: Parameters<typeof bus.leave>) {
      await held('leave')
      return bus.leave(...args)
    },
    hold(...calls: (keyof Bus)[]) {
      slow = calls
    },
    release() {
      slow = []
      for (const go of waiting.splice(0)) go()
    },
  }
}

test('a seat that is being changed is not in the way of a newcomer, nor does it make place for one', async () => {
  const bus = createSlowBus()
  const { enter } = open(bus)
  const peers = []
  for (let i = 0; i < 7; i += 1) peers.push(await enter(GROUP, `Peer ${i}`))
  bus.hold('leave')
  const changing = enter(GROUP, 'Peer 0', { returning: peers[0]?.seat.id as string })
  await settle()
  expect(await bus.members(`room:${GROUP}`)).toHaveLength(8)
  const newcomers = Promise.all([enter(GROUP, 'Vera'), enter(GROUP, 'Zoya')])
  await settle()
  bus.release()
  expect((await changing).seat).toBeDefined()
  expect((await newcomers).filter(({ seat }) => seat)).toHaveLength(1)
  await settle()
  expect(await bus.members(`room:${GROUP}`)).toHaveLength(8)
})

const places = (told: readonly ServerMessage[]) =>
  told.flatMap((message) =>
    message.type === 'said' || message.type === 'gap' ? [[message.type, message.offset]] : [],
  )

test('a gap is told in its place, and what follows it after it', async () => {
  const bus = createSlowBus()
  const { enter } = open(bus)
  const anna = await enter(GROUP, 'Anna')
  await anna.seat.say('before') // the second message of the room
  bus.hold('members')
  const gap = bus.gap(`room:${GROUP}`)
  await settle()
  await anna.seat.say('after')
  await settle()
  expect(places(anna.told)).toEqual([['said', 2]])
  expect(anna.seat.position().offset).toBe(2)
  bus.release()
  await gap
  await settle()
  expect(places(anna.told)).toEqual([
    ['said', 2],
    ['gap', 2],
    ['said', 3],
  ])
  expect(anna.seat.position().offset).toBe(3)
})

test('a gap before the welcome has its place, too', async () => {
  const bus = createSlowBus()
  const { enter } = open(bus)
  const anna = await enter(GROUP, 'Anna')
  bus.hold('enter', 'members')
  const entering = enter(GROUP, 'Boris')
  await settle()
  await anna.seat.say('first')
  const gap = bus.gap(`room:${GROUP}`)
  await settle()
  await anna.seat.say('second')
  await settle()
  bus.release()
  const boris = await entering
  await gap
  await settle()
  expect(places(boris.told)).toEqual([
    ['said', 2],
    ['gap', 2],
    ['said', 3],
  ])
})
