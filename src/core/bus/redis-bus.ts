// The channel layer in Redis: what is sent to the scripts, and what their answers say. What to do while Redis is away
// is decided in failover-bus.ts and failover-presence.ts.
//
// The prefix is ours. A key of another type, and what cannot be read, are that key's trouble: they count as absent,
// and the next write takes their place.
import { randomUUID } from 'node:crypto'
import { corrupt, parseJson } from '../../lib/codec.ts'
import { keys } from '../keys.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { runScript, type Script } from '../redis/script-runner.ts'
import type { BusMessage, Draft, Json, Position } from './bus.ts'
import { APPEND, MERGE, READ } from './channel-scripts.ts'
import type { LogPage } from './local-channel.ts'
import { createRedisPresence, type RedisPresence } from './redis-presence.ts'

/** Where to read from: the position that was seen here, and the offset after which messages are wanted. */
export interface ReadFrom {
  readonly seen: Position
  readonly after: number
}

export interface RedisLogPage extends LogPage {
  /** Whether Redis had lost the channel, or was behind what was seen of it. */
  readonly isLost: boolean
}

/** `asked`: Redis was asked to take it, and nobody knows whether it did. `lost`: it had it. */
export type UnsentKind = 'new' | 'asked' | 'lost'

/** A message that was published while Redis was away. */
export interface UnsentMessage extends Draft {
  readonly ageMs: number
  readonly kind: UnsentKind
}

export interface RedisBus extends RedisPresence {
  /** Returns what follows `from`, up to the message itself. */
  append(channel: string, draft: Draft, from: ReadFrom | 'start' | 'nothing'): Promise<RedisLogPage>
  read(channel: string, from: ReadFrom | 'start'): Promise<RedisLogPage>
  history(channel: string): Promise<readonly BusMessage[]>
  merge(channel: string, messages: readonly UnsentMessage[], seen: Position | undefined): Promise<void>
}

/** What is wrong with a key: it is of another type, or something in it cannot be read. */
export type KeyTrouble = 'foreign' | 'unreadable'

export interface RedisBusOptions {
  call: RedisConnection['call']
  prefix: string
  /** The channel's name for pub/sub, which knows no databases. */
  wireName: (channel: string) => string
  /** This process. */
  node: string
  trouble: (key: string, trouble: KeyTrouble) => void
}

export function createRedisBus({ call, prefix, wireName, node, trouble }: RedisBusOptions): RedisBus {
  async function run(script: Script, names: string[], ...args: (string | number)[]): Promise<unknown[]> {
    const own = names.map((name) => prefix + name)
    const reply = await call((client) =>
      runScript(client, script, { keys: own, arguments: args.map(String) }),
    )
    const [foreign, ...rest] = reply as [Buffer[], ...unknown[]]
    for (const key of foreign) trouble(key.toString(), 'foreign')
    return rest
  }

  const logKeys = (channel: string) => [keys.busHead(channel), keys.busLog(channel)]
  const allKeys = (channel: string) => [...logKeys(channel), keys.busMerged(channel), keys.busSizes]
  const argsOf = (seen: Position | undefined) => [seen?.epoch ?? '', seen?.offset ?? 0] as const
  const fromArgs = (from: ReadFrom | 'start') =>
    from === 'start' ? [...argsOf(undefined), 0] : [...argsOf(from.seen), from.after]

  function pageOf(channel: string, reply: unknown[]): RedisLogPage {
    const [epochBytes, offsetBytes, isLost, found] = reply as [Buffer, Buffer, number, Buffer[]]
    const epoch = epochBytes.toString()
    const offset = Number(offsetBytes)
    const messages: BusMessage[] = []
    for (const entry of found) {
      const message = decodeMessage(channel, epoch, entry.toString())
      if (message !== corrupt && message.offset <= offset) messages.push(message)
      else trouble(prefix + keys.busLog(channel), 'unreadable')
    }
    return { epoch, offset, isLost: isLost === 1, messages }
  }

  return {
    async append(channel, draft, from) {
      const known = from === 'nothing' ? ['-', 0, 0] : fromArgs(from)
      const args = [wireName(channel), encode(draft), randomUUID(), ...known]
      return pageOf(channel, await run(APPEND, allKeys(channel), ...args))
    },
    async read(channel, from) {
      return pageOf(channel, await run(READ, logKeys(channel), randomUUID(), ...fromArgs(from)))
    },
    async history(channel) {
      return pageOf(channel, await run(READ, logKeys(channel), '', ...fromArgs('start'))).messages
    },
    async merge(channel, messages, seen) {
      const unsent = messages.flatMap((message) => {
        const { kind, ageMs, id } = message
        return [kind, Math.max(0, ageMs), id, encode(message)]
      })
      await run(MERGE, allKeys(channel), wireName(channel), randomUUID(), ...argsOf(seen), ...unsent)
    },
    ...createRedisPresence({
      run,
      wireName,
      node,
      unreadable: (channel) => trouble(prefix + keys.busHere(channel), 'unreadable'),
    }),
  }
}

/** As it is in Redis: id, time and JSON, separated by line breaks; JSON has none of its own. */
function encode({ id, atMs, data }: Draft): string {
  return `${id}\n${atMs}\n${JSON.stringify(data)}`
}

/** The offset, and what `encode` made. */
function decodeMessage(channel: string, epoch: string, text: string): BusMessage | typeof corrupt {
  const [first = '', id = '', time = ''] = text.split('\n', 3)
  const [offset, atMs] = [Number(first), Number(time)]
  const data = parseJson(text.slice(first.length + id.length + time.length + 3))
  if (data === corrupt || !Number.isSafeInteger(offset) || offset < 1 || !Number.isFinite(atMs))
    return corrupt
  return { channel, epoch, offset, id: copyOf(id), atMs, data: data as Json }
}

/** A part of a text keeps the whole text in memory: this is the part alone. */
const copyOf = (part: string) => Buffer.from(part).toString()

/** A message as pub/sub brings it: its epoch, and the rest. */
export function decodePublished(channel: string, text: string): BusMessage | typeof corrupt {
  const end = text.indexOf('\n')
  return end < 0 ? corrupt : decodeMessage(channel, copyOf(text.slice(0, end)), text.slice(end + 1))
}
