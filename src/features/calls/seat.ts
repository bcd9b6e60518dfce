// One peer's seat in a room: what it is told, and what it may tell. Knows no sockets: a peer is anything that can be told.
//
// A seat is taken by `join` (room.ts), and ends in one of four ways:
//   left     by `leave`: the others are told at once.
//   let go   by `letGo`, when the socket is gone: kept for RESUME_MS, in which `join` with its peer's token takes it over;
//            else as left.
//   taken    by a newer seat of the same peer, here or in another process: nobody else notices.
//   dropped  when the app stops: nobody is told, so that the peer finds itself still there when it returns.
import type { Bus, BusMessage, Gap, Json, Member, Position, Subscription } from '../../infra/bus/bus.ts'
import type { StartTimer } from '../../lib/time.ts'
import { createNumbers, isPolite } from './politeness.ts'
import type { Peer, ServerMessage } from './protocol.ts'
import { RESUME_MS } from './resume-token.ts'

/** What is published in a room. `conn` tells the seats of one peer apart. */
export type RoomEvent =
  | { readonly type: 'here'; readonly id: string; readonly conn: string; readonly name: string }
  | { readonly type: 'left'; readonly id: string; readonly conn: string }
  | { readonly type: 'said'; readonly from: string; readonly name: string; readonly data: Json }

/** What is published to a single peer. */
export type PeerEvent =
  | { readonly type: 'signal'; readonly from: string; readonly n: number; readonly data: Json }
  | { readonly type: 'taken'; readonly conn: string }

export interface Occupant {
  readonly id: string
  readonly conn: string
  readonly name: string
}

export const roomChannel = (room: string) => `room:${room}`
export const peerChannel = (id: string) => `peer:${id}`
export const memberOf = ({ id, conn, name }: Occupant): Member => ({ id: `${id}~${conn}`, info: { name } })

export function occupantOf({ id: memberId, info }: Member): Occupant {
  const [id = '', conn = ''] = memberId.split('~')
  return { id, conn, name: String((info as { name?: Json } | null)?.name ?? '') }
}

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
  const early: BusMessage[] = [] // heard before `open`
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
    const { epoch, offset } = message
    if (isOpen) at[message.channel === channel ? 'room' : 'signals'] = { epoch, offset }
    if (!isOpen) early.push(message)
    else if (event.type === 'signal') return hearSignal(event, { epoch, offset })
    else if (event.type === 'here') appear(event)
    else if (event.type === 'left') disappear(event, 'left')
    else {
      const { from, name, data } = event
      listener.tell({ type: 'said', from, name, data, atMs: message.atMs, epoch, offset })
    }
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

  async function learn(): Promise<void> {
    for (const member of await bus.members(channel)) appear(occupantOf(member))
  }

  /** After a gap only the list itself says who is there; the client compares it with its own. */
  async function tellGap(of: 'room' | 'signals', { reason, to }: Gap): Promise<void> {
    at[of] = { epoch: to.epoch, offset: to.offset }
    const members = await bus.members(channel)
    if (hasEnded || !isOpen) return
    known.clear()
    for (const occupant of members.map(occupantOf))
      if (occupant.id !== own.id) known.set(occupant.id, occupant)
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
    disappear,
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
      isOpen = true
      // Who came and went meanwhile is in the list of peers already.
      const events = missed.filter(({ data }) => ['said', 'signal'].includes((data as { type: string }).type))
      for (const message of [...events, ...early.splice(0)]) await hear(message)
    },
  }
}

export type NewSeat = ReturnType<typeof createSeat>
