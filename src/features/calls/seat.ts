// One peer's seat in a room: what it is told, and what it may tell. Knows no sockets: a peer is anything that can be told.
//
// A seat is taken by `join` (room.ts), and ends in one of four ways:
//   left     by `leave`: the others are told at once.
//   let go   by `letGo`, when the socket is gone: kept for RESUME_MS, in which `join` with its peer's token takes it over;
//            else as left.
//   taken    by a newer seat of the same peer, here or in another process: nobody else notices.
//   dropped  when the app stops: nobody is told, so that the peer finds itself still there when it returns.
import type {
  Bus,
  BusMessage,
  Gap,
  Json,
  Member,
  MemberNews,
  Position,
  Subscription,
} from '../../infra/bus/bus.ts'
import type { StartTimer } from '../../lib/time.ts'
import { createNumbers, isPolite } from './politeness.ts'
import type { Peer, ServerMessage } from './protocol.ts'
import { RESUME_MS } from './resume-token.ts'
import {
  memberOf,
  type Occupant,
  occupantOf,
  type PeerEvent,
  peerChannel,
  type RoomEvent,
  roomChannel,
  saidOf,
} from './room-events.ts'

export interface Listener {
  tell(message: ServerMessage): void
  /** The peer goes on at another socket. */
  taken(): void
  /** Something that nobody waits for has failed. */
  failed(error: unknown): void
}

export interface Seat {
  readonly id: string
  readonly name: string
  /** False when that peer is not in this room. Without `n` it opens a negotiation, of which the sender is told first. */
  signal(to: string, data: Json, n?: number): Promise<boolean>
  say(data: Json): Promise<void>
  /** The last it was told of, of the room and of its own signals. */
  position(): Position & { signals: Position }
  leave(): Promise<void>
  letGo(): void
  drop(): void
}

export interface SeatParts {
  bus: Bus
  startTimer: StartTimer
  room: string
  own: Occupant
  listener: Listener
  /** Called once, however it ends. */
  ended(): void
}

/** A seat that is being taken: hears everything from the beginning, and passes it on from `open`. */
export function createSeat({ bus, startTimer, room, own, listener, ended }: SeatParts) {
  const channel = roomChannel(room)
  const known = new Map<string, Occupant>()
  const numbers = createNumbers(own.id)
  const subscriptions: Subscription[] = []
  const early: BusMessage[] = [] // heard before `open`, as the gaps
  const earlyNews: [MemberNews, Occupant][] = []
  const earlyGaps = new Map<'room' | 'signals', Gap>()
  const nowhere: Position = { epoch: '', offset: 0 }
  const at = { room: nowhere, signals: nowhere }
  let isOpen = false
  let hasEnded = false
  let stopWaiting = () => {}

  const asPeer = ({ id, name }: Occupant): Peer => ({ id, name, polite: isPolite(own.id, id) })
  const peers = () => [...known.values()].map(asPeer)

  function hear(message: BusMessage): Promise<void> | undefined {
    if (hasEnded) return undefined
    const event = message.data as unknown as RoomEvent | PeerEvent
    // A seat that was taken over ends at once, before it is open as well.
    if (event.type === 'taken') {
      if (event.conn !== own.conn) take()
      return undefined
    }
    if (isOpen) return pass(message)
    early.push(message)
    return undefined
  }

  function pass(message: BusMessage): Promise<void> | undefined {
    const event = message.data as unknown as RoomEvent | PeerEvent
    const { epoch, offset } = message
    at[message.channel === channel ? 'room' : 'signals'] = { epoch, offset }
    if (event.type === 'signal') return hearSignal(event, { epoch, offset })
    if (event.type === 'here') appear(event)
    else if (event.type === 'left') disappear(event, 'left')
    else if (event.type === 'said') listener.tell(saidOf(message, event))
    return undefined
  }

  async function hearSignal({ from, n, data }: PeerEvent & { type: 'signal' }, at: Position): Promise<void> {
    // The two channels have no common order: a signal can be here before the news of who sent it.
    if (!known.has(from)) await learn()
    if (hasEnded || !known.has(from)) return
    numbers.saw(from, n)
    listener.tell({ type: 'signal', from, n, data, ...at })
  }

  function appear(occupant: Occupant): void {
    if (occupant.id === own.id) return
    const isNew = !known.has(occupant.id)
    known.set(occupant.id, { id: occupant.id, conn: occupant.conn, name: occupant.name })
    if (isNew) listener.tell({ type: 'peer-joined', peer: asPeer(occupant) })
  }

  function disappear({ id, conn }: Pick<Occupant, 'id' | 'conn'>, reason: 'left' | 'lost'): void {
    if (known.get(id)?.conn !== conn) return
    known.delete(id)
    numbers.forget(id)
    listener.tell({ type: 'peer-left', id, reason })
  }

  /** What no event says, as of a process that has ended, or that was cut off for too long. */
  function learnOf(news: MemberNews, occupant: Occupant): void {
    if (!isOpen) earlyNews.push([news, occupant])
    else if (news === 'lost') disappear(occupant, 'lost')
    else if (!known.has(occupant.id)) appear(occupant)
  }

  async function learn(): Promise<void> {
    for (const member of await bus.members(channel)) appear(occupantOf(member))
  }

  /** After a gap only the list itself says who is there; the client compares it with its own. */
  async function tellGap(of: 'room' | 'signals', { reason, to }: Gap): Promise<void> {
    if (!isOpen) return void earlyGaps.set(of, { channel, reason, to })
    at[of] = { epoch: to.epoch, offset: to.offset }
    const before = new Set(known.keys())
    const present = (await bus.members(channel)).map(occupantOf).filter(({ id }) => id !== own.id)
    if (hasEnded) return
    // Who was there before and is not in the list is gone; who came while it was asked for may not be in it yet.
    for (const id of before) known.delete(id)
    for (const occupant of present) known.set(occupant.id, occupant)
    listener.tell({ type: 'gap', of, reason, epoch: to.epoch, offset: to.offset, peers: peers() })
  }

  function end(): boolean {
    if (hasEnded) return false
    hasEnded = true
    stopWaiting()
    for (const subscription of subscriptions) subscription.close()
    ended()
    return true
  }

  async function leave(): Promise<void> {
    if (!end()) return
    await bus.leave(channel, memberOf(own).id)
    await bus.publish(channel, { type: 'left', id: own.id, conn: own.conn })
  }

  function take(): void {
    if (!end()) return
    listener.taken()
    bus.leave(channel, memberOf(own).id).catch(listener.failed)
  }

  const seat: Seat = {
    id: own.id,
    name: own.name,
    async signal(to, data, given) {
      if (!known.has(to)) return false
      const n = given ?? numbers.next(to)
      if (given === undefined) listener.tell({ type: 'negotiation', with: to, n })
      await bus.publish(peerChannel(to), { type: 'signal', from: own.id, n, data })
      return true
    },
    async say(data) {
      await bus.publish(channel, { type: 'said', from: own.id, name: own.name, data })
    },
    leave,
    letGo() {
      if (hasEnded) return
      stopWaiting = startTimer(RESUME_MS, () => void leave().catch(listener.failed))
    },
    drop: () => void end(),
    position: () => ({ ...at.room, signals: at.signals }),
  }

  return {
    seat,
    peers,
    learnOf,
    async listen(of: 'room' | 'signals', since: Position | undefined): Promise<Subscription> {
      const subscriber = {
        message: (message: BusMessage) => hear(message)?.catch(listener.failed),
        gap: (gap: Gap) => void tellGap(of, gap).catch(listener.failed),
      }
      const heard = await bus.subscribe(of === 'room' ? channel : peerChannel(own.id), subscriber, since)
      subscriptions.push(heard)
      at[of] = { epoch: heard.position.epoch, offset: heard.position.offset }
      return heard
    },
    /** Who is there; what was missed meanwhile is passed on by `open`. */
    know(members: readonly Member[]): void {
      for (const occupant of members.map(occupantOf)) {
        if (occupant.id !== own.id) known.set(occupant.id, occupant)
      }
    },
    async open(missed: readonly BusMessage[]): Promise<void> {
      // Who came and went meanwhile is in the list of peers already.
      const events = missed.filter(({ data }) => ['said', 'signal'].includes((data as { type: string }).type))
      early.unshift(...events)
      // What comes while a signal waits for news of its sender comes after it.
      for (let next = early.shift(); next && !hasEnded; next = early.shift()) await pass(next)
      isOpen = true
      for (const news of earlyNews) learnOf(...news)
      for (const [of, gap] of earlyGaps) await tellGap(of, gap)
    },
  }
}

export type NewSeat = ReturnType<typeof createSeat>
