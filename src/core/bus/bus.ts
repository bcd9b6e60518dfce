// The contract of the channel layer: messages to whoever listens, in this process and in others, and who is there.
// Implementations: memory-bus.ts, and failover-bus.ts with failover-presence.ts over Redis.
//
// Within an epoch every message of a channel has the next offset, and every subscriber anywhere gets them in that order,
// each once. What a subscriber cannot be given is announced as a gap, never left out in silence. A new epoch begins where
// the order of the old one cannot be promised any more: when Redis is left, when it returns, when it has lost its data.
// A group is a channel with many subscribers, a single channel one with one.

/** Anything that JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

/** A place in a channel: after the message of that offset. */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

/** A message that has no place yet. */
export interface Draft {
  /** The same wherever and however often the message is seen. */
  readonly id: string
  readonly data: Json
  /** When it was published, by the clock of who published it; ms since the epoch. */
  readonly atMs: number
}

export interface BusMessage extends Position, Draft {
  readonly channel: string
}

/**
 * `behind`: the subscriber was too slow and its queue full. `trimmed`: more than history holds.
 * `epoch`: another epoch has begun.
 */
export type GapReason = 'behind' | 'trimmed' | 'epoch'

/** Messages may be missing between the last one that was given and `to`; the next one comes after it. */
export interface Gap {
  readonly channel: string
  readonly reason: GapReason
  readonly to: Position
}

export interface Subscriber {
  /** The next message; until it settles, what comes later waits, `capacity` messages of it. */
  message(message: BusMessage): void | Promise<void>
  /** In its place among the messages; what comes later waits for it as well. */
  gap(gap: Gap): void | Promise<void>
  /** 100 unless said. */
  readonly capacity?: number
}

export interface Subscription {
  /** Where it begins: `missed` comes before, everything later goes to the subscriber. */
  readonly position: Position
  /** Whether `missed` is everything since `since`, and nothing of it was given elsewhere in the order; true without `since`. */
  readonly recovered: boolean
  readonly missed: readonly BusMessage[]
  close(): void
}

/** Somebody who is in a channel, for as long as the process that said so goes on saying it. */
export interface Member {
  readonly id: string
  readonly info: Json
}

/** `lost`: its process has stopped saying that it is there. `back`: it says so again, or is found where nobody announced it. */
export type MemberNews = 'lost' | 'back'

export interface Bus {
  /** Delivers to every subscriber: here when this resolves, in other processes through Redis. Never waits beyond one budget. */
  publish(channel: string, data: Json): Promise<Position>
  subscribe(channel: string, subscriber: Subscriber, since?: Position): Promise<Subscription>
  /** The last messages: 200, two minutes or 256 KiB of them, whichever is least; fewer when all channels are too much together. */
  history(channel: string): Promise<readonly BusMessage[]>
  /** Puts the member into the channel, or its new info; undefined when `most` others are there already. */
  enter(channel: string, member: Member, most: number): Promise<readonly Member[] | undefined>
  leave(channel: string, id: string): Promise<void>
  members(channel: string): Promise<readonly Member[]>
  /** Called in every process that listens to the channel, once for each. Who enters or leaves may announce that itself. */
  onMember(listener: (channel: string, news: MemberNews, member: Member) => void): void
}

export const HISTORY_MESSAGES = 200
export const HISTORY_MS = 120_000
/** The same numbers in this process and in Redis: of one channel, and of all. */
export const HISTORY_BYTES = 256 * 1024
export const HISTORY_BYTES_IN_ALL = 8 * 1024 * 1024
