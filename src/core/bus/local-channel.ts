// One channel in this process: its position, its last messages, and its subscribers here. It knows no Redis.
//
// standalone   It gives out offsets itself, in an epoch of its own: first, and while Redis is away.
// following    It follows the log in Redis, in Redis' epoch.
//
//   standalone → following    `resync`: it takes over Redis' order, in another epoch.
//   following  → following    `apply`: the next messages of this epoch. `resync`: Redis has begun another epoch.
//   following  → standalone   `detach`: Redis is left, or nobody subscribes here any more.
//
// Every change of the epoch is a gap `epoch` for subscribers, and after it come only messages that were not seen
// here, by id. Subscribers get messages without a hole: each offset is one more than the last one, or than the `to`
// of a gap.
import { randomUUID } from 'node:crypto'
import { MINUTE, type Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import {
  type BusMessage,
  type Draft,
  type GapReason,
  HISTORY_MESSAGES,
  HISTORY_MS,
  type Position,
  type Subscriber,
  type Subscription,
} from './bus.ts'
import { createMessageLog, type MessageLog } from './message-log.ts'
import { createSubscribers } from './subscriber-queue.ts'

/** A range of the log in Redis: the last position, and the messages before it, as far as they were asked for. */
export interface LogPage extends Position {
  readonly messages: readonly BusMessage[]
}

export interface LocalChannel {
  readonly channel: string
  position(): Position
  isFollowing(): boolean
  /** Whether this message was seen here, under any position. */
  has(id: string): boolean
  /** Whether this position is an old one or the next one; else something before it is missing. */
  isContiguous(position: Position): boolean
  /** Takes over what follows in the present epoch. What is missing before it is a gap `trimmed`. */
  apply(page: LogPage): void
  /** Takes over another epoch of Redis. */
  resync(page: LogPage): void
  /** Is standalone from here on. */
  detach(): void
  /** Gives out the next offset. Only while it is standalone. */
  append(draft: Draft): BusMessage
  /** Remembers a message of a channel without subscribers here. */
  remember(message: BusMessage): void
  /** From the present position on; `known` may hold messages after `since` that are not remembered here. */
  subscribe(subscriber: Subscriber, since?: Position, known?: readonly BusMessage[]): Subscription
  history(): readonly BusMessage[]
  /** Forgets the ids of messages that cannot come again. */
  prune(): void
  /** Whether it may be forgotten. */
  isIdle(): boolean
}

export interface LocalChannelOptions {
  log: Log
  now: Now
  /** The messages of all channels. */
  messageLog: MessageLog<BusMessage>
}

// Ids of more messages than history holds, and for longer: a message may come again as long as it is in history.
const SEEN_IDS = 2 * HISTORY_MESSAGES
const SEEN_MS = 2 * HISTORY_MS

const newEpoch = (): Position => ({ epoch: randomUUID(), offset: 0 })

export function createLocalChannel(
  channel: string,
  { log, now, messageLog }: LocalChannelOptions,
): LocalChannel {
  const seenAtMs = new Map<string, number>() // by id of the message
  const moved = new Set<string>() // ids of messages that were given here under another position than they have now
  const subscribers = createSubscribers(log)
  let at = newEpoch()
  let following = false

  const emitGap = (reason: GapReason) => subscribers.emit({ gap: { channel, reason, to: at } })
  const history = () => messageLog.read(channel)

  function remember(message: BusMessage): void {
    messageLog.append(channel, message)
    seenAtMs.set(message.id, now())
    if (seenAtMs.size > SEEN_IDS) forget(seenAtMs.keys().next().value as string)
  }

  function forget(id: string): void {
    seenAtMs.delete(id)
    moved.delete(id)
  }

  function deliver(message: BusMessage): void {
    at = { epoch: message.epoch, offset: message.offset }
    remember(message)
    subscribers.emit({ message })
  }

  /** Delivers what was not seen. Runs of messages that were seen, or that are missing, become one gap each. */
  function deliverPage({ epoch, offset, messages }: LogPage, reason: GapReason, isNewEpoch: boolean): void {
    let needsGap = isNewEpoch
    for (const message of messages) {
      if (!isNewEpoch && message.offset <= at.offset) continue
      const isSeen = seenAtMs.has(message.id)
      if (isSeen || message.offset !== at.offset + 1 || needsGap) {
        at = { epoch, offset: isSeen ? message.offset : message.offset - 1 }
        if (!isSeen) emitGap(reason)
        needsGap = isSeen
      }
      if (isSeen) move(message)
      else deliver(message)
    }
    if (needsGap || at.offset < offset) {
      at = { epoch, offset: Math.max(offset, at.offset) }
      emitGap(reason)
    }
  }

  /** Remembers a message that was seen, as a rule under another position. */
  function move(message: BusMessage): void {
    const all = history()
    const before = all.find(({ id }) => id === message.id)
    if (before?.epoch !== message.epoch || before.offset !== message.offset) moved.add(message.id)
    messageLog.replace(channel, [...all.filter((one) => one !== before), message])
  }

  function missedSince(since: Position, known: readonly BusMessage[]) {
    if (since.epoch !== at.epoch || since.offset > at.offset) return { missed: [], recovered: false }
    const byOffset = new Map([...known, ...history()].map((message) => [message.offset, message]))
    const missed = [...byOffset.values()]
      .filter(({ epoch, offset }) => epoch === at.epoch && offset > since.offset && offset <= at.offset)
      .sort((a, b) => a.offset - b.offset)
    // A subscriber that was here before a message moved may have had it.
    const isRepeated = missed.some(({ id }) => moved.has(id))
    return { missed, recovered: missed.length === at.offset - since.offset && !isRepeated }
  }

  return {
    channel,
    position: () => at,
    isFollowing: () => following,
    has: (id) => seenAtMs.has(id),
    isContiguous: ({ epoch, offset }) => epoch === at.epoch && offset <= at.offset + 1,
    apply: (page) => deliverPage(page, 'trimmed', false),
    resync(page) {
      following = true
      at = { epoch: page.epoch, offset: (page.messages[0]?.offset ?? page.offset + 1) - 1 }
      deliverPage(page, 'epoch', true)
    },
    detach() {
      if (!following) return
      following = false
      at = newEpoch()
      emitGap('epoch')
    },
    append(draft) {
      const message = { ...draft, channel, epoch: at.epoch, offset: at.offset + 1 }
      deliver(message)
      return message
    },
    remember,
    subscribe(subscriber, since, known = []) {
      const close = subscribers.add(subscriber)
      const { missed, recovered } = since ? missedSince(since, known) : { missed: [], recovered: true }
      return { position: at, missed, recovered, close }
    },
    history,
    prune() {
      for (const [id, atMs] of seenAtMs) {
        if (atMs > now() - SEEN_MS) return
        forget(id)
      }
    },
    isIdle: () => subscribers.count() === 0 && history().length === 0,
  }
}

const SWEEP_MS = MINUTE / 2

/** The channels of this process. One without subscribers and messages is forgotten. */
export interface LocalChannels {
  find(channel: string): LocalChannel | undefined
  open(channel: string): LocalChannel
  all(): Iterable<LocalChannel>
  close(): void
}

export interface LocalChannelsOptions {
  create?: typeof createLocalChannel
  log: Log
  now?: Now
}

export function createLocalChannels({
  create = createLocalChannel,
  log,
  now = Date.now,
}: LocalChannelsOptions): LocalChannels {
  const channels = new Map<string, LocalChannel>()
  const messageLog = createMessageLog<BusMessage>({ now })
  const idle = new Set<string>() // since the last sweep: who opened one may be about to use it

  function sweep(): void {
    messageLog.prune()
    for (const [channel, local] of channels) {
      local.prune()
      if (!local.isIdle()) idle.delete(channel)
      else if (!idle.has(channel)) idle.add(channel)
      else {
        idle.delete(channel)
        channels.delete(channel)
      }
    }
  }
  const timer = setInterval(sweep, SWEEP_MS).unref()

  return {
    find: (channel) => channels.get(channel),
    open(channel) {
      idle.delete(channel)
      const known = channels.get(channel)
      if (known) return known
      const local = create(channel, { log, now, messageLog })
      channels.set(channel, local)
      return local
    },
    all: () => channels.values(),
    close: () => clearInterval(timer),
  }
}
