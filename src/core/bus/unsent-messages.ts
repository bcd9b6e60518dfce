// The messages that were published while Redis was away, or too slow, until they are in it: as many as history would hold.
// In memory only: they are two minutes old at most.
import type { Now } from '../../lib/time.ts'
import type { Draft } from './bus.ts'
import { createHistories } from './histories.ts'
import type { Late, LateKind } from './redis-bus.ts'

interface VersionedEntry extends Draft {
  readonly kind: LateKind
}

export interface LateMessages {
  add(channel: string, draft: Draft, kind: LateKind): void
  /** What Redis has lost of the time before: before what is here. */
  addBefore(channel: string, drafts: readonly Draft[]): void
  has(channel: string): boolean
  channels(): string[]
  /** The first of a channel that are not too old by now. */
  first(channel: string, count: number): Late[]
  /** These are in Redis. */
  remove(channel: string, messages: readonly Late[]): void
  size(): number
}

export function createLateMessages(now: Now): LateMessages {
  const histories = createHistories<VersionedEntry>(now)

  return {
    add: (channel, draft, kind) => histories.add(channel, { ...draft, kind }),
    addBefore(channel, drafts) {
      const later = histories.of(channel)
      const ids = new Set(later.map(({ id }) => id))
      const earlier = drafts
        .filter(({ id }) => !ids.has(id))
        .map((draft) => ({ ...draft, kind: 'lost' as const }))
      histories.set(channel, [...earlier, ...later])
    },
    has: histories.has,
    channels: histories.channels,
    first(channel, count) {
      histories.forgetOld()
      return histories
        .of(channel)
        .slice(0, count)
        .map((kept) => ({ ...kept, ageMs: now() - kept.atMs }))
    },
    remove(channel, messages) {
      const ids = new Set(messages.map(({ id }) => id))
      histories.set(
        channel,
        histories.of(channel).filter(({ id }) => !ids.has(id)),
      )
    },
    size: histories.count,
  }
}
