// One channel in this process: how far it is, the last messages, and who listens here. It knows no Redis.
//
// own      it counts by itself, in an epoch that nobody else has: so it begins, and so it is while Redis is away.
// linked   it follows the order of Redis, in the epoch of Redis: `adopt` leads there, `beOwn` back.
//
// Every subscriber is given messages without a hole: each offset is one more than the last one, or than the `to` of a gap.
import { randomUUID } from 'node:crypto'
import type { Now } from '../../lib/time.ts'
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
import type { Histories } from './histories.ts'
import { createOutlet, type Item } from './subscriber-queue.ts'

/** A channel as Redis has it: its last position, and the messages before it, as far as they were asked for. */
export interface Stretch extends Position {
  readonly messages: readonly BusMessage[]
}

export interface Line {
  readonly channel: string
  position(): Position
  isLinked(): boolean
  /** Whether this message was seen here, under whatever position. */
  has(id: string): boolean
  /** In Redis' order, once: what follows of the present epoch. What is missing before it is a gap. */
  accept(stretch: Stretch): void
  /** Whether this message is old, or the next one; else something is missing before it. */
  fits(position: Position): boolean
  /** In Redis' order, in another epoch: a gap, then what was not seen here. */
  adopt(stretch: Stretch): void
  /** Counts by itself from here; a gap unless it did. */
  beOwn(): void
  /** The next message, when it counts by itself. */
  append(draft: Draft): BusMessage
  /** Remembers a message that nobody listens to here. */
  keep(message: BusMessage): void
  /** From its position on; `known` may hold what came after `since` and is not remembered here. */
  subscribe(subscriber: Subscriber, since?: Position, known?: readonly BusMessage[]): Subscription
  history(): readonly BusMessage[]
  /** Forgets the ids of messages that cannot come again. */
  forgetOld(): void
  /** Whether nothing is lost when it is forgotten. */
  isIdle(): boolean
}

export interface LineOptions {
  log: Log
  now: Now
  /** What is remembered of all lines. */
  histories: Histories<BusMessage>
}

// Ids of more than history holds, and for longer: a message may come again as long as it is in history.
const SEEN_IDS = 2 * HISTORY_MESSAGES
const SEEN_MS = 2 * HISTORY_MS

export function createLine(channel: string, { log, now, histories }: LineOptions): Line {
  const seen = new Map<string, number>() // and when it was
  const moved = new Set<string>() // those that were given here under another position than they have now
  const outlets = new Map<ReturnType<typeof createOutlet>, number>()
  const pending: Item[] = []
  let at: Position = { epoch: randomUUID(), offset: 0 }
  let linked = false
  let isEmitting = false
  let emitted = 0
  let queued = 0

  // A subscriber may publish while it is given a message: the next message waits until all have this one.
  function emit(item: Item): void {
    pending.push(item)
    queued += 1
    if (isEmitting) return
    isEmitting = true
    for (let next = pending.shift(); next; next = pending.shift()) {
      emitted += 1
      for (const [outlet, from] of outlets) if (emitted > from) outlet.put(next)
    }
    isEmitting = false
  }

  const gap = (reason: GapReason) => emit({ gap: { channel, reason, to: at } })

  function remember(message: BusMessage): void {
    histories.add(channel, message)
    seen.set(message.id, now())
    if (seen.size > SEEN_IDS) forget(seen.keys().next().value as string)
  }

  function forget(id: string): void {
    seen.delete(id)
    moved.delete(id)
  }

  function deliver(message: BusMessage): void {
    at = { epoch: message.epoch, offset: message.offset }
    remember(message)
    emit({ message })
  }

  /** Delivers what was not seen; before each stretch of what was, or of what is not there, the gap moves on. */
  function follow({ epoch, offset, messages }: Stretch, reason: GapReason, isNew: boolean): void {
    let mustTell = isNew
    for (const message of messages) {
      if (!isNew && message.offset <= at.offset) continue
      const isSeen = seen.has(message.id)
      if (isSeen || message.offset !== at.offset + 1 || mustTell) {
        const before = isSeen ? message.offset : message.offset - 1
        mustTell = isSeen
        at = { epoch, offset: before }
        if (!isSeen) gap(reason)
      }
      if (isSeen) replace(message)
      else deliver(message)
    }
    if (mustTell || at.offset < offset) {
      at = { epoch, offset: Math.max(offset, at.offset) }
      gap(reason)
    }
  }

  /** A message that was seen, under another position as a rule. */
  function replace(message: BusMessage): void {
    const all = histories.of(channel)
    const before = all.find(({ id }) => id === message.id)
    if (before?.epoch !== message.epoch || before.offset !== message.offset) moved.add(message.id)
    histories.set(channel, [...all.filter((one) => one !== before), message])
  }

  const live = () => histories.of(channel)

  function missedSince(since: Position, known: readonly BusMessage[]) {
    if (since.epoch !== at.epoch || since.offset > at.offset) return { missed: [], recovered: false }
    const byOffset = new Map([...known, ...live()].map((message) => [message.offset, message]))
    const missed = [...byOffset.values()]
      .filter(({ epoch, offset }) => epoch === at.epoch && offset > since.offset && offset <= at.offset)
      .sort((a, b) => a.offset - b.offset)
    // Who was here before its move may have had it.
    const isRepeated = missed.some(({ id }) => moved.has(id))
    return { missed, recovered: missed.length === at.offset - since.offset && !isRepeated }
  }

  return {
    channel,
    position: () => at,
    isLinked: () => linked,
    has: (id) => seen.has(id),
    accept: (stretch) => follow(stretch, 'trimmed', false),
    fits: ({ epoch, offset }) => epoch === at.epoch && offset <= at.offset + 1,
    adopt(stretch) {
      linked = true
      at = { epoch: stretch.epoch, offset: (stretch.messages[0]?.offset ?? stretch.offset + 1) - 1 }
      follow(stretch, 'epoch', true)
    },
    beOwn() {
      if (!linked) return
      linked = false
      at = { epoch: randomUUID(), offset: 0 }
      gap('epoch')
    },
    append(draft) {
      const message = { ...draft, channel, epoch: at.epoch, offset: at.offset + 1 }
      deliver(message)
      return message
    },
    keep: remember,
    subscribe(subscriber, since, known = []) {
      const outlet = createOutlet(subscriber, log)
      outlets.set(outlet, queued)
      const { missed, recovered } = since ? missedSince(since, known) : { missed: [], recovered: true }
      return {
        position: at,
        missed,
        recovered,
        close() {
          outlets.delete(outlet)
          outlet.close()
        },
      }
    },
    history: live,
    forgetOld() {
      for (const [id, seenMs] of seen) {
        if (seenMs > now() - SEEN_MS) return
        forget(id)
      }
    },
    isIdle: () => outlets.size === 0 && live().length === 0,
  }
}
