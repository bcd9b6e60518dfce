// What is remembered of channels: of each the last messages, bounded in number, in age and in bytes, and of all together in
// bytes. The oldest goes first; when all are too much, that of the channel which was written to longest ago.
import type { Now } from '../../lib/time.ts'
import { type Draft, HISTORY_BYTES, HISTORY_BYTES_IN_ALL, HISTORY_MESSAGES, HISTORY_MS } from './bus.ts'
import { bytesOf } from './message-size.ts'

export interface Histories<T> {
  /** The messages of a channel that are not too old, the oldest first. */
  of(channel: string): readonly T[]
  /** Whether anything of the channel is remembered, too old or not. */
  has(channel: string): boolean
  channels(): string[]
  add(channel: string, message: T): void
  /** These instead of what is there. */
  set(channel: string, messages: readonly T[]): void
  forgetOld(): void
  count(): number
  sizeBytes(): number
}

interface VersionedEntry<T> {
  readonly messages: T[]
  bytes: number
}

export function createHistories<T extends Draft>(now: Now): Histories<T> {
  const byChannel = new Map<string, VersionedEntry<T>>() // the channel that was written to last is last
  let count = 0
  let bytes = 0

  const isOld = ({ atMs }: Draft) => atMs <= now() - HISTORY_MS

  function put(channel: string, kept: VersionedEntry<T>, message: T): void {
    kept.messages.push(message)
    grow(kept, 1, bytesOf(message))
    byChannel.delete(channel)
    byChannel.set(channel, kept)
  }

  function grow(kept: VersionedEntry<T>, messages: 1 | -1, by: number): void {
    count += messages
    kept.bytes += by
    bytes += by
  }

  function dropFirst(channel: string, kept: VersionedEntry<T>): void {
    const first = kept.messages.shift()
    if (first) grow(kept, -1, -bytesOf(first))
    if (kept.messages.length === 0) byChannel.delete(channel)
  }

  function trim(channel: string, kept: VersionedEntry<T>): void {
    const { messages } = kept
    const isTooMuch = (first: T) =>
      messages.length > HISTORY_MESSAGES || kept.bytes > HISTORY_BYTES || isOld(first)
    while (messages[0] && isTooMuch(messages[0])) dropFirst(channel, kept)
  }

  function trimAll(): void {
    for (const [channel, kept] of byChannel) {
      while (bytes > HISTORY_BYTES_IN_ALL && kept.messages.length > 0) dropFirst(channel, kept)
      if (bytes <= HISTORY_BYTES_IN_ALL) return
    }
  }

  function add(channel: string, message: T): void {
    const kept = byChannel.get(channel) ?? { messages: [], bytes: 0 }
    put(channel, kept, message)
    trim(channel, kept)
    trimAll()
  }

  return {
    of: (channel) => byChannel.get(channel)?.messages.filter((message) => !isOld(message)) ?? [],
    has: (channel) => byChannel.has(channel),
    channels: () => [...byChannel.keys()],
    add,
    set(channel, messages) {
      const kept = byChannel.get(channel)
      while (kept && kept.messages.length > 0) dropFirst(channel, kept)
      for (const message of messages) add(channel, message)
    },
    forgetOld() {
      for (const [channel, kept] of byChannel) trim(channel, kept)
    },
    count: () => count,
    sizeBytes: () => bytes,
  }
}
