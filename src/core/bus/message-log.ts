// The last messages of channels, bounded: of each channel in number, age and bytes, and of all together in bytes. The
// oldest goes first; when all are too much, that of the channel which was written to longest ago.
import type { Now } from '../../lib/time.ts'
import {
  type Draft,
  HISTORY_BYTES,
  HISTORY_BYTES_IN_ALL,
  HISTORY_MESSAGES,
  HISTORY_MS,
  type Json,
} from './bus.ts'

export interface MessageLog<T> {
  /** The messages of a channel that are not too old, the oldest first. */
  read(channel: string): readonly T[]
  /** Whether the channel has messages, too old or not. */
  has(channel: string): boolean
  channels(): string[]
  append(channel: string, message: T): void
  /** Puts these in the place of the channel's messages. */
  replace(channel: string, messages: readonly T[]): void
  /** Drops what is too old. */
  prune(): void
  count(): number
  sizeBytes(): number
}

export interface MessageLogOptions {
  now: Now
  /** Called for each message that is dropped although it is not too old: there is no room for it. */
  overflowed?: () => void
}

interface ChannelLog<T> {
  readonly messages: T[]
  bytes: number
}

export function createMessageLog<T extends Draft>({
  now,
  overflowed = () => {},
}: MessageLogOptions): MessageLog<T> {
  const logs = new Map<string, ChannelLog<T>>() // the channel that was written to last is last
  let count = 0
  let bytes = 0

  const isOld = ({ atMs }: Draft) => atMs <= now() - HISTORY_MS

  function resize(log: ChannelLog<T>, messages: 1 | -1, by: number): void {
    count += messages
    log.bytes += by
    bytes += by
  }

  function dropFirst(channel: string, log: ChannelLog<T>): T | undefined {
    const first = log.messages.shift()
    if (first) resize(log, -1, -bytesOf(first))
    if (log.messages.length === 0) logs.delete(channel)
    return first
  }

  function evictFirst(channel: string, log: ChannelLog<T>): void {
    const first = dropFirst(channel, log)
    if (first && !isOld(first)) overflowed()
  }

  function trim(channel: string, log: ChannelLog<T>): void {
    const { messages } = log
    const isTooMuch = () => messages.length > HISTORY_MESSAGES || log.bytes > HISTORY_BYTES
    while (messages[0] && (isTooMuch() || isOld(messages[0]))) evictFirst(channel, log)
  }

  function trimAll(): void {
    for (const [channel, log] of logs) {
      while (bytes > HISTORY_BYTES_IN_ALL && log.messages.length > 0) evictFirst(channel, log)
      if (bytes <= HISTORY_BYTES_IN_ALL) return
    }
  }

  function append(channel: string, message: T): void {
    const log = logs.get(channel) ?? { messages: [], bytes: 0 }
    log.messages.push(message)
    resize(log, 1, bytesOf(message))
    logs.delete(channel)
    logs.set(channel, log)
    trim(channel, log)
    trimAll()
  }

  return {
    read: (channel) => logs.get(channel)?.messages.filter((message) => !isOld(message)) ?? [],
    has: (channel) => logs.has(channel),
    channels: () => [...logs.keys()],
    append,
    replace(channel, messages) {
      const log = logs.get(channel)
      while (log && log.messages.length > 0) dropFirst(channel, log)
      for (const message of messages) append(channel, message)
    },
    prune() {
      for (const [channel, log] of logs) trim(channel, log)
    },
    count: () => count,
    sizeBytes: () => bytes,
  }
}

const MESSAGE_BYTES = 300 // itself, without its data
const VALUE_BYTES = 32

const sizes = new WeakMap<Draft, number>()

/** How much memory a message takes in this process, roughly. Counted once for each message. */
export function bytesOf(message: Draft): number {
  const known = sizes.get(message)
  if (known !== undefined) return known
  const bytes = MESSAGE_BYTES + bytesIn(message.data)
  sizes.set(message, bytes)
  return bytes
}

// A list of empty objects takes twenty times as much as its JSON: so values are counted, not only characters.
function bytesIn(data: Json): number {
  if (typeof data === 'string') return VALUE_BYTES + data.length
  if (typeof data !== 'object' || data === null) return VALUE_BYTES
  let bytes = VALUE_BYTES
  for (const [name, value] of Object.entries(data)) bytes += VALUE_BYTES + name.length + bytesIn(value)
  return bytes
}
