// Rooms: who may take a seat, who is the same one as before, and who is gone. Everything that lasts is in the bus, so
// that the peers of a room may be served by different processes.
import { randomBytes } from 'node:crypto'
import type { Bus, Position, Subscription } from '../../core/bus/bus.ts'
import { type Now, type StartTimer, startTimer as startRealTimer } from '../../lib/time.ts'
import type { ServerMessage, Since } from './protocol.ts'
import {
  connAfter,
  memberOf,
  type Occupant,
  occupantOf,
  peerChannel,
  type RoomEvent,
  roomChannel,
} from './room-events.ts'
import { createSeat, type Listener, type NewSeat, type Seat } from './seat.ts'

export interface Entry {
  readonly room: string
  readonly name: string
  /** Not logged in. */
  readonly guest: boolean
  /** Who a resume token says it was. */
  readonly returning: string | undefined
  readonly since: Since | undefined
  readonly listener: Listener
}

export type Welcome = Omit<Extract<ServerMessage, { type: 'joined' }>, 'type' | 'you' | 'iceServers'>

export interface Rooms {
  /**
   * Takes a seat; undefined when the room is full of others, or when the peer has taken a later seat, as the listener
   * learns. `welcome` is called before the listener.
   */
  join(entry: Entry, welcome: (seat: Seat, welcome: Welcome) => void): Promise<Seat | undefined>
  /** Seats that are taken here, those of lost sockets included. */
  seats(): number
  /** Drops every seat: peers find themselves still there when they return. */
  close(): void
}

export interface RoomsParts {
  bus: Bus
  capacityOf: (room: string) => number
  now?: Now
  startTimer?: StartTimer
}

export function createRooms({
  bus,
  capacityOf,
  now = Date.now,
  startTimer = startRealTimer,
}: RoomsParts): Rooms {
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

  /** The seats that this peer has, or had last; undefined when it may not be the same one again. */
  async function seatsOf(channel: string, id: string): Promise<readonly string[] | undefined> {
    const there = (await bus.members(channel)).map(occupantOf).filter((one) => one.id === id)
    if (there.length > 0) return there.map(({ conn }) => conn)
    // Gone with the process that served it, and so still expected; unless it has left, or was waited for in vain.
    const events = (await bus.history(channel)).map(({ data }) => data as unknown as RoomEvent)
    const last = events.filter((event) => event.type !== 'said').findLast((event) => event.id === id)
    if (last?.type === 'left') return undefined
    return last ? [last.conn] : []
  }

  /** Who is in the room then; undefined when it is full of others. Counted by peer: one that changes seats has two. */
  async function enter(
    channel: string,
    own: Occupant,
    { most, seatsBefore }: { most: number; seatsBefore: number },
  ): Promise<readonly Occupant[] | undefined> {
    for (let mostSeats = most + seatsBefore; ; ) {
      const entered = await bus.enter(channel, memberOf(own), mostSeats)
      const there = (entered ?? (await bus.members(channel))).map(occupantOf)
      const others = new Set(there.map(({ id }) => id).filter((id) => id !== own.id)).size
      if (others >= most) return undefined
      if (entered) return there
      mostSeats = most + there.length - others
    }
  }

  return {
    async join({ room, name, guest, returning, since, listener }, welcome) {
      const channel = roomChannel(room)
      const before = returning === undefined ? undefined : await seatsOf(channel, returning)
      const isSame = returning !== undefined && before !== undefined
      const own = {
        id: isSame ? returning : randomBytes(12).toString('base64url'),
        conn: connAfter(before ?? [], now()),
        name,
        guest,
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

      /** False when it has ended: by a later seat of its peer, which it finds there or has heard of. */
      async function takeOver(there: readonly Occupant[]): Promise<boolean> {
        const seats = there.filter(({ id, conn }) => id === own.id && conn !== own.conn)
        if (seats.some(({ conn }) => conn > own.conn)) made.take()
        // Who enters after this finds us there; who has entered before hears of us, or is gone.
        if (made.hasEnded()) return false
        await bus.publish(peerChannel(own.id), { type: 'taken', conn: own.conn })
        for (const one of seats) await bus.leave(channel, memberOf(one).id)
        return !made.hasEnded()
      }

      async function giveUp(): Promise<undefined> {
        seat.drop()
        await bus.leave(channel, memberOf(own).id)
      }

      try {
        const signals = await made.listen('signals', isSame ? since?.signals : undefined)
        const events = await made.listen('room', since)
        const there = await enter(channel, own, {
          most: capacityOf(room),
          seatsBefore: before?.length ?? 0,
        })
        if (!there || (isSame && !(await takeOver(there)))) return await giveUp()
        made.know(there)
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
        await giveUp()
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
