// One peer's seat in a room: what it hears, and what it may say. Knows no sockets: a peer is anything that can listen.
//
// A seat is taken by `join` (room.ts), and ends in one of four ways:
//   left     by `leave`: the others learn it immediately.
//   let go   by `letGo`, when the socket is gone: kept for RESUME_MS, in which `join` with its peer's token takes it
//            over; else as left.
//   taken    by a newer seat of the same peer, here or in another process: the others do not notice.
//   dropped  when the app stops: the others do not learn it, so that the peer is still in the room when it returns.
import type { Bus, BusMessage, Gap, Json, MemberNews, Position, Subscription } from '../../core/bus/bus.ts'
import type { StartTimer } from '../../lib/time.ts'
import { createNumbers, isPolite } from './politeness.ts'
import type { Peer, ServerMessage } from './protocol.ts'
import {
  isGuest,
  memberOf,
  type Occupant,
  occupantOf,
  type PeerEvent,
  peerChannel,
  type RoomEvent,
  roomChannel,
  saidOf,
  sinceOf,
} from './room-events.ts'
import { RESUME_MS } from './tokens/resume-token.ts'

export interface Listener {
  tell(message: ServerMessage): void
  /** The peer continues at another socket. */
  taken(): void
  /** Work that no caller waits for has failed. */
  failed(error: unknown): void
}

export interface Seat {
  readonly id: string
  readonly name: string
  /** False when that peer is not in this room. Without `n` it opens a negotiation, which the sender learns first. */
  signal(to: string, data: Json, n?: number): Promise<boolean>
  say(data: Json): Promise<void>
  /** The last positions it has heard, of the room and of its own signals. */
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
  const known = new Map<string, Occupant>() // the others
  const nextNumber = createNumbers(own.id, sinceOf(own.conn))
  const subscriptions: Subscription[] = []
  const nowhere: Position = { epoch: '', offset: 0 }
  const at = { room: nowhere, signals: nowhere } // as far as the peer was told
  const before: { room?: Position; signals?: Position } = {} // in an epoch that was not known here when it returned
  let busy: Promise<void> | undefined
  let isOpen = false
  let hasEnded = false
  let stopWaiting = () => {}
  let begin = () => {}
  void inTurn(
    () =>
      new Promise((resolve) => {
        begin = resolve
      }),
  )

  const asPeer = ({ id, name, guest }: Occupant): Peer => ({ id, name, guest, polite: isPolite(own.id, id) })
  const peers = () => [...known.values()].map(asPeer)

  // What both channels say is passed on in order: while one message waits for the list of peers, later ones wait, and
  // so does the bus. Until the seat is open the bus does not wait, so that news of a later seat is heard.
  function inTurn(tellIt: () => Promise<void> | undefined): Promise<void> | undefined {
    const told = busy ? busy.then(() => (hasEnded ? undefined : tellIt())) : tellIt()
    if (!told) return undefined
    const turn: Promise<void> = told.catch(listener.failed).then(() => {
      if (busy === turn) busy = undefined
    })
    busy = turn
    return isOpen ? turn : undefined
  }

  function hear(message: BusMessage): Promise<void> | undefined {
    if (hasEnded) return undefined
    const event = message.data as unknown as RoomEvent | PeerEvent
    if (event.type !== 'taken') return inTurn(() => pass(message))
    if (event.conn > own.conn) take()
    return undefined
  }

  function pass(message: BusMessage): Promise<void> | undefined {
    const event = message.data as unknown as RoomEvent | PeerEvent
    // The two channels have no common order: a signal can be here before the news of who sent it.
    const isEarly = event.type === 'signal' && !known.has(event.from)
    if (isEarly) return learn().then(() => tellOf(message, event))
    tellOf(message, event)
    return undefined
  }

  function tellOf(message: BusMessage, event: RoomEvent | PeerEvent): void {
    if (hasEnded) return
    const { epoch, offset } = message
    const of = message.channel === channel ? 'room' : 'signals'
    at[of] = { epoch, offset }
    const wasTold = before[of]?.epoch === epoch && offset <= before[of].offset
    if (event.type === 'here') appear(event)
    else if (event.type === 'left') disappear(event, 'left')
    else if (wasTold) return
    else if (event.type === 'said') listener.tell(saidOf(message, event))
    else if (event.type === 'signal' && known.has(event.from)) {
      const { from, n, data } = event
      listener.tell({ type: 'signal', from, n, data, epoch, offset })
    }
  }

  function appear(occupant: Occupant): void {
    const isNew = !known.has(occupant.id)
    know(occupant)
    if (isNew && known.has(occupant.id)) listener.tell({ type: 'peer-joined', peer: asPeer(occupant) })
  }

  /** Of two seats of one peer the later one. */
  function know(occupant: Occupant): void {
    const { id, conn, name } = occupant
    const isLater = id !== own.id && conn >= (known.get(id)?.conn ?? '')
    if (isLater) known.set(id, { id, conn, name, guest: isGuest(occupant) })
  }

  function disappear({ id, conn }: Pick<Occupant, 'id' | 'conn'>, reason: 'left' | 'lost'): void {
    if (known.get(id)?.conn !== conn) return
    known.delete(id)
    listener.tell({ type: 'peer-left', id, reason })
  }

  /** What no event says, as of a process that has ended, or that was cut off for too long. */
  function learnOf(news: MemberNews, occupant: Occupant): void {
    void inTurn(async () => {
      if (news === 'lost') return lose(occupant)
      if (!known.has(occupant.id)) appear(occupant)
    })
  }

  /** Unless the peer has taken another seat, of which its event tells. */
  async function lose({ id, conn }: Occupant): Promise<void> {
    if (known.get(id)?.conn !== conn) return
    const present = (await bus.members(channel)).map(occupantOf)
    const later = present.find((one) => one.id === id && one.conn > conn)
    if (later) know(later)
    else disappear({ id, conn }, 'lost')
  }

  async function learn(): Promise<void> {
    for (const member of await bus.members(channel)) if (!hasEnded) appear(occupantOf(member))
  }

  /** After a gap only the list itself says who is in the room; the client compares it with its own. */
  async function tellGap(of: 'room' | 'signals', { reason, to: { epoch, offset } }: Gap): Promise<void> {
    const present = (await bus.members(channel)).map(occupantOf)
    // The missed message may be the one that says that it was taken.
    if (present.some(({ id, conn }) => id === own.id && conn > own.conn)) take()
    if (hasEnded) return
    known.clear()
    for (const occupant of present) know(occupant)
    at[of] = { epoch, offset }
    listener.tell({ type: 'gap', of, reason, epoch, offset, peers: peers() })
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
      const n = given ?? nextNumber(to)
      if (given === undefined) listener.tell({ type: 'negotiation', with: to, n })
      await bus.publish(peerChannel(to), { type: 'signal', from: own.id, n, data })
      return true
    },
    async say(data) {
      await bus.publish(channel, { type: 'said', from: own.id, name: own.name, guest: own.guest, data })
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
    take,
    hasEnded: () => hasEnded,
    learnOf,
    async listen(of: 'room' | 'signals', since: Position | undefined): Promise<Subscription> {
      const subscriber = {
        message: hear,
        gap: (gap: Gap) => (hasEnded ? undefined : inTurn(() => tellGap(of, gap))),
      }
      const heard = await bus.subscribe(of === 'room' ? channel : peerChannel(own.id), subscriber, since)
      subscriptions.push(heard)
      if (since && since.epoch !== heard.position.epoch) before[of] = since
      if (hasEnded) heard.close()
      at[of] = { epoch: heard.position.epoch, offset: heard.position.offset }
      return heard
    },
    /** Who is in the room; `open` passes on what was missed. */
    know(occupants: readonly Occupant[]): void {
      for (const occupant of occupants) know(occupant)
    },
    async open(missed: readonly BusMessage[]): Promise<void> {
      const { room, signals } = at
      // Who has come and gone is in the list of peers already.
      const events = missed.filter(({ data }) => ['said', 'signal'].includes((data as { type: string }).type))
      for (const message of events) await pass(message)
      Object.assign(at, { room, signals })
      isOpen = true
      begin()
      await busy
    },
  }
}

export type NewSeat = ReturnType<typeof createSeat>
