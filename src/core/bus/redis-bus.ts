// The channel layer in Redis: the log and the members of each channel. What to do while it is away, failover-bus.ts decides.
import { randomUUID } from 'node:crypto'
import { MINUTE } from '../../lib/time.ts'
import { keys } from '../keys.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { runScript, type Script } from '../redis/script-runner.ts'
import type { BusMessage, Draft, Json, Position } from './bus.ts'
import { APPEND, ENTER, MERGE, READ, RENEW } from './bus-scripts.ts'
import type { Stretch } from './channel.ts'

/** How long a member is believed to be there; its process says so again long before. */
export const LEASE_MS = MINUTE

/** What is known here of a channel: the position that was seen, and the offset after which the rest is wanted. */
export interface Known {
  readonly seen: Position
  readonly after: number
}

export interface RedisStretch extends Stretch {
  /** Whether Redis had lost the channel, or was behind what was seen of it. */
  readonly isLost: boolean
}

/** `asked`: Redis was asked to take it, and nobody knows whether it did. `lost`: it had it. */
export type LateKind = 'new' | 'asked' | 'lost'

/** A message of an outage. */
export interface Late extends Draft {
  readonly ageMs: number
  readonly kind: LateKind
}

export interface RemoteMember {
  readonly id: string
  readonly info: Json
  readonly node: string
  readonly restMs: number
}

export interface Presence {
  readonly isIn: boolean
  readonly members: readonly RemoteMember[]
}

/** What Redis tells who listens: `in` and `out` who has entered and left, `back` who is put back, `lost` whose lease has ended. */
export interface Notice {
  readonly kind: 'in' | 'back' | 'out' | 'lost'
  readonly member: RemoteMember
}

/** What a process says of a channel: who of its own is there, who has left, whom it knows of others. */
export interface Report {
  readonly own: ReadonlyMap<string, Json>
  /** Whether `own` are all. */
  readonly isWhole: boolean
  readonly left: readonly string[]
  readonly others: readonly RemoteMember[]
}

export interface RedisBus {
  /** `known` undefined: everything that is there is wanted; 'nothing': nobody listens here. */
  append(channel: string, draft: Draft, known: Known | 'nothing' | undefined): Promise<RedisStretch>
  read(channel: string, known: Known | undefined): Promise<RedisStretch>
  history(channel: string): Promise<readonly BusMessage[]>
  merge(channel: string, messages: readonly Late[], seen: Position | undefined): Promise<void>
  enter(channel: string, member: { id: string; info: Json }, most: number): Promise<Presence>
  renew(channel: string, report: Report): Promise<Presence>
  /** A name that Redis keeps as long as it keeps its data. */
  life(): Promise<string>
}

export interface RedisBusOptions {
  call: RedisConnection['call']
  prefix: string
  /** The channel's name for pub/sub, which knows no databases. */
  wireName: (channel: string) => string
  /** This process. */
  node: string
}

export function createRedisBus({ call, prefix, wireName, node }: RedisBusOptions): RedisBus {
  const run = (script: Script, names: string[], ...args: (string | number)[]) =>
    call((client) =>
      runScript(client, script, { keys: names.map((name) => prefix + name), arguments: args.map(String) }),
    )
  const logOf = (channel: string) => [keys.busHead(channel), keys.busLog(channel)]
  const forAppending = (channel: string) => [...logOf(channel), keys.busMerged(channel), keys.busSizes]
  const seenIn = (seen: Position | undefined) => [seen?.epoch ?? '', seen?.offset ?? 0] as const

  async function presence(answer: Promise<unknown>): Promise<Presence> {
    const [isIn, flat] = (await answer) as [number, Buffer[]]
    const parts = flat.map(String) as string[]
    const members = parts.flatMap((id, i) => {
      const [, restMs, from, info] = parts.slice(i, i + 4)
      return i % 4 === 0
        ? [{ id, restMs: Number(restMs), node: from as string, info: JSON.parse(info as string) as Json }]
        : []
    })
    return { isIn: isIn === 1, members }
  }

  return {
    async append(channel, draft, known) {
      const wanted = known === 'nothing' ? undefined : known
      const [epoch, seen] = known === 'nothing' ? ['-', 0] : seenIn(wanted?.seen)
      const text = encode(draft)
      const after = wanted?.after ?? 0
      const args = [wireName(channel), text, randomUUID(), epoch, seen, after]
      return stretch(channel, await run(APPEND, forAppending(channel), ...args))
    },
    async read(channel, known) {
      const args = [randomUUID(), ...seenIn(known?.seen), known?.after ?? 0]
      return stretch(channel, await run(READ, logOf(channel), ...args))
    },
    async history(channel) {
      const found = await run(READ, logOf(channel), '', ...seenIn(undefined), 0)
      return stretch(channel, found).messages
    },
    async merge(channel, messages, seen) {
      const fixed = [wireName(channel), randomUUID(), ...seenIn(seen)]
      const late = messages.flatMap((message) => {
        const { kind, ageMs, id } = message
        return [kind, Math.max(0, ageMs), id, encode(message)]
      })
      await run(MERGE, forAppending(channel), ...fixed, ...late)
    },
    enter(channel, { id, info }, most) {
      const args = [wireName(channel), id, node, JSON.stringify(info), most, LEASE_MS]
      return presence(run(ENTER, [keys.busHere(channel)], ...args))
    },
    renew(channel, { own, isWhole, left, others }) {
      const held = [...own].flatMap(([id, info]) => [id, JSON.stringify(info)])
      const known = others.flatMap((member) => [
        member.id,
        Math.max(0, member.restMs),
        member.node,
        JSON.stringify(member.info),
      ])
      const fixed = [wireName(channel), node, LEASE_MS, isWhole ? 1 : 0, own.size, left.length]
      return presence(run(RENEW, [keys.busHere(channel)], ...fixed, ...held, ...left, ...known))
    },
    life: () =>
      call(async (client) => {
        const key = prefix + keys.busLife
        const [, life] = await Promise.all([
          client.set(key, randomUUID(), { condition: 'NX' }),
          client.get(key),
        ])
        return String(life)
      }),
  }
}

/** As it is in Redis: id, time and JSON, one a line; JSON has no line breaks of its own. */
function encode({ id, atMs, data }: Draft): string {
  return `${id}\n${atMs}\n${JSON.stringify(data)}`
}

function decode(channel: string, epoch: string, text: string): BusMessage {
  const [offset, id, atMs] = text.split('\n', 3) as [string, string, string]
  const data = JSON.parse(text.slice(offset.length + id.length + atMs.length + 3)) as Json
  return { channel, epoch, offset: Number(offset), id: ownText(id), atMs: Number(atMs), data }
}

/** A part of a text keeps the whole text in memory; this is the part alone, without what it was said with. */
const ownText = (part: string) => Buffer.from(part).toString()

function stretch(channel: string, reply: unknown): RedisStretch {
  const [epoch, offset, isLost, found] = reply as [Buffer, Buffer, number, Buffer[]]
  const name = epoch.toString()
  const messages = found.map((text) => decode(channel, name, text.toString()))
  return { epoch: name, offset: Number(offset), isLost: isLost === 1, messages }
}

/** A message as pub/sub brings it: its epoch, and the rest. */
export function decodeDelivery(channel: string, text: string): BusMessage {
  const end = text.indexOf('\n')
  return decode(channel, ownText(text.slice(0, end)), text.slice(end + 1))
}

/** A notice as pub/sub brings it; undefined when it is a message. */
export function decodeNotice(text: string): Notice | undefined {
  if (!text.startsWith('\n')) return undefined
  const [kind, restMs, node, info, ...id] = text.slice(1).split('\n') as [Notice['kind'], ...string[]]
  const member = {
    id: id.join('\n'),
    info: JSON.parse(info ?? '') as Json,
    node: node ?? '',
    restMs: Number(restMs),
  }
  return { kind, member }
}
