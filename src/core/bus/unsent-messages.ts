// The messages that were published while Redis was away, or too slow, until they are in it: as many as history would
// hold. In memory only, as they are two minutes old at most.
import type { Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { type Draft, HISTORY_MESSAGES, type Position } from './bus.ts'
import { createMessageLog } from './message-log.ts'
import type { RedisBus, UnsentKind, UnsentMessage } from './redis-bus.ts'

export interface UnsentMessages {
  add(channel: string, draft: Draft, kind: UnsentKind): void
  /** What Redis has lost of a channel, before what it has missed. */
  addLost(channel: string, drafts: readonly Draft[]): void
  has(channel: string): boolean
  size(): number
  /** Merges them into Redis. `seenOf`: how far its order was known. Rejects with RedisUnavailable. */
  send(seenOf: (channel: string) => Position | undefined): Promise<void>
}

export interface UnsentMessagesOptions {
  redis: Pick<RedisBus, 'merge'>
  log: Log
  now: Now
}

interface Unsent extends Draft {
  readonly kind: UnsentKind
}

const BATCH = 50 // messages a script
// Twice as many as a channel can have: what is published during the merge is merged, too, but a stream does not hold
// up the return.
const MOST_BATCHES = (2 * HISTORY_MESSAGES) / BATCH

export function createUnsentMessages({ redis, log, now }: UnsentMessagesOptions): UnsentMessages {
  let dropped = 0
  const messages = createMessageLog<Unsent>({
    now,
    overflowed() {
      dropped += 1
    },
  })

  function next(channel: string): UnsentMessage[] {
    messages.prune()
    const batch = messages.read(channel).slice(0, BATCH)
    return batch.map((message) => ({ ...message, ageMs: now() - message.atMs }))
  }

  function remove(channel: string, sent: readonly UnsentMessage[]): void {
    const ids = new Set(sent.map(({ id }) => id))
    messages.replace(
      channel,
      messages.read(channel).filter(({ id }) => !ids.has(id)),
    )
  }

  async function sendChannel(channel: string, seen: Position | undefined): Promise<void> {
    for (let i = 0; i < MOST_BATCHES; i += 1) {
      const batch = next(channel)
      if (batch.length === 0) return
      await redis.merge(channel, batch, seen)
      remove(channel, batch)
    }
  }

  function sayDropped(): void {
    if (dropped === 0) return
    log.warn(
      { dropped },
      `channel layer: ${dropped} messages were dropped before Redis had them, as too many were published while ` +
        'it was away. Subscribers in this process got them; those in other processes did not',
    )
    dropped = 0
  }

  return {
    add: (channel, draft, kind) => messages.append(channel, { ...draft, kind }),
    addLost(channel, drafts) {
      const later = messages.read(channel)
      const ids = new Set(later.map(({ id }) => id))
      const earlier = drafts
        .filter(({ id }) => !ids.has(id))
        .map((draft) => ({ ...draft, kind: 'lost' as const }))
      messages.replace(channel, [...earlier, ...later])
    },
    has: messages.has,
    size: messages.count,
    async send(seenOf) {
      for (const channel of messages.channels()) await sendChannel(channel, seenOf(channel))
      sayDropped()
    },
  }
}
