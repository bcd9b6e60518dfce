// Rooms: who may take a seat, who is the same one as before, and who is gone. Everything that lasts is in the bus, so
// that the peers of a room may be served by different processes.
import { randomBytes } from 'node:crypto'
import type { Bus, Position, Subscription } from '../../infra/bus/bus.ts'
import { type StartTimer, startTimer as startRealTimer } from '../../lib/time.ts'
import type { ServerMessage, Since } from './protocol.ts'
import { memberOf, occupantOf, peerChannel, type RoomEvent, roomChannel } from './room-events.ts'
import { createSeat, type Listener, type NewSeat, type Seat } from './seat.ts'

export interface Entry {
  readonly room: string
  readonly name: string
  /** Who a resume token says it was. */
  readonly returning: string | undefined
  readonly since: Since | undefined
  readonly listener: Listener
}

export type Welcome = Omit<Extract<ServerMessage, { type: 'joined' }>, 'type' | 'you' | 'iceServers'>

export interface Rooms {
  /** Takes a seat; undefined when the room is full. `welcome` is called before anything else is told. */
  join(entry: Entry, welcome: (seat: Seat, welcome: Welcome) => void): Promise<Seat | undefined>
  /** Seats that are taken here, those of lost sockets included. */
  seats(): number
  /** Drops every seat: peers find themselves still there when they return. */
  close(): void
}

export interface RoomsParts {
  bus: Bus
  capacityOf: (room: string) => number
  startTimer?: StartTimer
}

export function createRooms({ bus, capacityOf, startTimer = startRealTimer }: RoomsParts): Rooms {
  const seats = new Map<string, Set<NewSeat>>()

  bus.onMember((channel, news, member) => {
    for (const { learnOf } of seats.get(channel) ?? []) learnOf(news, occupantOf(member))
  })

  function keep(channel: string, seat: NewSeat): void {
    const there = seats.get(channel) ?? new Set()
    seats.set(channel, there.add(seat))
  }

  function forget(channel: string, seat: NewSeat): void {
    const there = seats.get(channel)
    there?.delete(seat)
    if (there?.size === 0) seats.delete(channel)
  }

  /** The seats that this peer has already; undefined when it has none and may not be the same one again. */
  async function seatsOf(channel: string, id: string): Promise<readonly string[] | undefined> {
    const own = (await bus.members(channel)).map(({ id: memberId }) => memberId)
    const there = own.filter((memberId) => memberId.startsWith(`${id}~`))
    if (there.length > 0) return there
    // Gone with the process that served it, and so still expected; unless it has left, or was waited for in vain.
    const events = (await bus.history(channel)).map(({ data }) => data as unknown as RoomEvent)
    const last = events.findLast((event) => event.type !== 'said' && event.id === id)
    return last?.type === 'left' ? undefined : []
  }

  return {
    async join({ room, name, returning, since, listener }, welcome) {
      const channel = roomChannel(room)
      const before = returning === undefined ? undefined : await seatsOf(channel, returning)
      const isSame = returning !== undefined && before !== undefined
      const own = {
        id: isSame ? returning : randomBytes(12).toString('base64url'),
        conn: randomBytes(6).toString('base64url'),
        name,
      }
      const made: NewSeat = createSeat({
        bus,
        startTimer,
        room,
        own,
        listener,
        ended: () => forget(channel, made),
      })
      const { seat } = made
      keep(channel, made)
      try {
        const signals = await made.listen('signals', isSame ? since?.signals : undefined)
        const events = await made.listen('room', since)
        // The seat that is taken over does not count against the one that takes it.
        const most = capacityOf(room) + (before?.length ?? 0)
        const members = await bus.enter(channel, memberOf(own), most)
        if (!members) {
          seat.drop()
          return undefined
        }
        if (isSame) await bus.publish(peerChannel(own.id), { type: 'taken', conn: own.conn })
        for (const memberId of before ?? []) await bus.leave(channel, memberId)
        made.know(members)
        await bus.publish(channel, { type: 'here', ...own })
        welcome(seat, {
          peers: made.peers(),
          ...startOf(events, since),
          signals: startOf(signals, since?.signals),
          resumed: isSame,
          recovered: events.recovered && signals.recovered,
        })
        await made.open([...events.missed, ...signals.missed])
        return seat
      } catch (error) {
        seat.drop()
        throw error
      }
    },
    seats: () => [...seats.values()].reduce((sum, { size }) => sum + size, 0),
    close() {
      for (const there of [...seats.values()]) for (const { seat } of [...there]) seat.drop()
    },
  }
}

/** Before what was missed: a socket that is lost while that is being told asks for it again. */
function startOf({ missed, position }: Subscription, since: Position | undefined): Position {
  const { epoch, offset } = (missed.length > 0 && since) || position
  return { epoch, offset }
}
