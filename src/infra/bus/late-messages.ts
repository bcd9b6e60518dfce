// The messages that were published while Redis was away, or too slow, until they are in it: as many as history would hold.
// In memory only: they are two minutes old at most.
import type { Now } from '../../lib/time.ts'
import { HISTORY_MESSAGES, HISTORY_MS } from './bus.ts'
import type { Draft } from './line.ts'
import type { Late } from './redis-bus.ts'

interface Kept extends Draft {
  readonly wasAsked: boolean
}

export interface LateMessages {
  add(channel: string, draft: Draft, wasAsked: boolean): void
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

const MOST_IN_ALL = 5_000

export function createLateMessages(now: Now): LateMessages {
  const byChannel = new Map<string, Kept[]>()
  let size = 0

  function put(channel: string, kept: Kept[]): void {
    const fresh = kept.filter(({ atMs }) => atMs > now() - HISTORY_MS).slice(-HISTORY_MESSAGES)
    size += fresh.length - (byChannel.get(channel)?.length ?? 0)
    byChannel.delete(channel)
    if (fresh.length > 0) byChannel.set(channel, fresh) // the channel that was written last is last
    for (const oldest of byChannel.keys()) {
      if (size <= MOST_IN_ALL || oldest === channel) break
      size -= byChannel.get(oldest)?.length ?? 0
      byChannel.delete(oldest)
    }
  }

  const of = (channel: string) => byChannel.get(channel) ?? []

  return {
    add: (channel, draft, wasAsked) => put(channel, [...of(channel), { ...draft, wasAsked }]),
    addBefore(channel, drafts) {
      const later = of(channel)
      const ids = new Set(later.map(({ id }) => id))
      const earlier = drafts.filter(({ id }) => !ids.has(id)).map((draft) => ({ ...draft, wasAsked: false }))
      put(channel, [...earlier, ...later])
    },
    has: (channel) => byChannel.has(channel),
    channels: () => [...byChannel.keys()],
    first(channel, count) {
      put(channel, of(channel))
      return of(channel)
        .slice(0, count)
        .map((kept) => ({ ...kept, ageMs: now() - kept.atMs }))
    },
    remove(channel, messages) {
      const ids = new Set(messages.map(({ id }) => id))
      put(
        channel,
        of(channel).filter(({ id }) => !ids.has(id)),
      )
    },
    size: () => size,
  }
}
