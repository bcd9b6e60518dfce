// The contract of the channel layer: messages to the subscribers of a channel, in this process and in others, and who
// is in it. Implementations: memory-bus.ts, and over Redis failover-bus.ts (messages) with failover-presence.ts
// (members).
//
// Within an epoch every message of a channel has the next offset, and every subscriber anywhere gets them in that
// order, each once. What a subscriber cannot be given is announced as a gap, never left out in silence. A new epoch
// begins where the order of the old one cannot be promised any more: when Redis is left, when it returns, when it has
// lost its data.

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
  /** The next message. While its promise is pending, later ones wait, up to `capacity`. */
  message(message: BusMessage): void | Promise<void>
  /** In its place among the messages; later ones wait for its promise as well. */
  gap(gap: Gap): void | Promise<void>
  /** 100 unless said. */
  readonly capacity?: number
}

export interface Subscription {
  /** Where it begins: `missed` is before it, everything later goes to the subscriber. */
  readonly position: Position
  /**
   * Whether `missed` is everything since `since`, and nothing of it was given under another position before; true
   * without `since`.
   */
  readonly recovered: boolean
  readonly missed: readonly BusMessage[]
  close(): void
}

/** A member of a channel, for as long as the process that it entered through keeps saying so. */
export interface Member {
  readonly id: string
  readonly info: Json
}

/** `lost`: its process has stopped saying so. `back`: it says so again, or the member is found unannounced. */
export type MemberNews = 'lost' | 'back'

export interface Bus {
  /**
   * Delivers to every subscriber: in this process before this resolves, in others through Redis. Never waits longer
   * than one budget of a command.
   */
  publish(channel: string, data: Json): Promise<Position>
  subscribe(channel: string, subscriber: Subscriber, since?: Position): Promise<Subscription>
  /** The last messages: 200, two minutes or 256 KiB, the least of these; fewer when all channels are too large. */
  history(channel: string): Promise<readonly BusMessage[]>
  /** Puts the member into the channel, or its new info; undefined when `most` others are in it already. */
  enter(channel: string, member: Member, most: number): Promise<readonly Member[] | undefined>
  leave(channel: string, id: string): Promise<void>
  members(channel: string): Promise<readonly Member[]>
  /** Called once for each change in every process with a subscriber. Members announce themselves that they enter. */
  onMember(listener: (channel: string, news: MemberNews, member: Member) => void): void
  /** Whether other processes get now what is published; while Redis is away they get it later. */
  reachesOthers(): boolean
}

export const HISTORY_MESSAGES = 200
export const HISTORY_MS = 120_000
/** The same numbers in this process and in Redis: of one channel, and of all. */
export const HISTORY_BYTES = 256 * 1024
export const HISTORY_BYTES_IN_ALL = 8 * 1024 * 1024
