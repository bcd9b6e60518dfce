// socket.io's adapter over the channel layer: rooms across processes, in one order, and clients that come back are
// given what they missed (`connectionStateRecovery`).
//
// The broadcasts of a namespace go through one channel, also to the clients of the process that sends them: a client
// has everything before its offset, which is its position in the channel. Who is in the channel tells how many servers
// there are. What servers answer each other goes through a channel for each, so that it pushes no broadcast out of the
// history.
//
// A client that comes back to its process is given what that process has delivered since, whatever happened to Redis.
// At another process it is given what the channel has since: 200 messages, two minutes or 256 KiB, of one epoch, as
// positions of two do not compare. Where that is not all, it is not recovered, and is told so.
import { createHash } from 'node:crypto'
import {
  type BroadcastOptions,
  ClusterAdapter,
  type ClusterMessage,
  type ClusterResponse,
  MessageType,
  type Session,
} from 'socket.io-adapter'
import type { BusMessage, Json, Position, Subscription } from '../core/bus/bus.ts'
import { corrupt, isArrayOf, isShape, isText, parseJson } from '../lib/codec.ts'
import { MINUTE } from '../lib/time.ts'
import { adapterKeys } from '../package/adapter-keys.ts'
import type { Samovar } from '../package/samovar.ts'
import { isAway, orWhenAway } from './away.ts'
import { DeliveredMessages } from './delivered-messages.ts'
import { decodePacket, encodePacket } from './socket-packets.ts'

const MOST_SERVERS = 1_000
const WAITING = 1_000 // messages of a channel that may wait for this process before there is a gap
/** Of the protocol: an event. */
const EVENT = 2

/** What is used of socket.io's namespace; its own type says that the options are private. */
interface Namespace {
  readonly name: string
  readonly server: {
    readonly opts: { readonly connectionStateRecovery?: { maxDisconnectionDuration?: number } }
  }
}

type Broadcast = Extract<ClusterMessage, { type: MessageType.BROADCAST }>

interface Persisted extends Omit<Session, 'missedPackets'> {
  /** The server that it was connected to. */
  readonly server: string
}

const isPersisted = isShape<Persisted>({
  sid: isText,
  pid: isText,
  rooms: isArrayOf(isText),
  data: (json): json is unknown => json !== undefined,
  server: isText,
})

/** `new Server(http, { adapter: createSocketAdapter(samovar), connectionStateRecovery: {} })`. */
export function createSocketAdapter(samovar: Pick<Samovar, 'bus' | 'state'>) {
  // socket.io calls it with `new`.
  return function adapterOf(namespace: object): ClusterAdapter {
    return new SamovarAdapter(namespace as Namespace, samovar)
  }
}

class SamovarAdapter extends ClusterAdapter {
  readonly #samovar: Pick<Samovar, 'bus' | 'state'>
  readonly #recovery: { readonly maxDisconnectionDuration?: number } | undefined
  readonly #channel: string
  readonly #listening: Promise<readonly Subscription[]>
  readonly #delivered: DeliveredMessages
  #entered: Promise<unknown> = Promise.resolve()

  constructor(namespace: Namespace, samovar: Pick<Samovar, 'bus' | 'state'>) {
    super(namespace)
    this.#samovar = samovar
    this.#recovery = namespace.server.opts.connectionStateRecovery
    this.#channel = `socket.io:${namespace.name}`
    this.#delivered = new DeliveredMessages(this.#keptMs())
    this.#listening = Promise.all([
      samovar.bus.subscribe(this.#channel, {
        capacity: WAITING,
        message: (message) => this.#receive(message),
        // Messages that nobody here got are none that a client can be given from here.
        gap: ({ reason }) => void (reason === 'epoch' || this.#delivered.forget()),
      }),
      samovar.bus.subscribe(this.#answersTo(this.uid), {
        capacity: WAITING,
        message: ({ data }) => this.onResponse(decodePacket(data) as ClusterResponse),
        gap: () => {},
      }),
    ])
    this.#listening.catch(() => {}) // said by who asks for it
  }

  override init(): Promise<void> {
    const entered = this.#enter()
    this.#entered = entered.catch(() => {})
    return entered
  }

  async #enter(): Promise<void> {
    await this.#listening
    await this.#samovar.bus.enter(this.#channel, { id: this.uid, info: null }, MOST_SERVERS)
  }

  override async close(): Promise<void> {
    for (const { close } of await this.#listening) close()
    await this.#entered // else it would be counted after it has left
    await this.#samovar.bus.leave(this.#channel, this.uid)
  }

  /** While Redis is away, this one alone: nobody else would answer. */
  override async serverCount(): Promise<number> {
    const members = await this.#samovar.bus.members(this.#channel)
    return this.#samovar.bus.reachesOthers() ? Math.max(1, members.length) : 1
  }

  /** Its clients here get it from `#receive`, in its place among those of others. */
  override async broadcast(packet: unknown, opts: BroadcastOptions): Promise<void> {
    const { rooms, except = [], flags = {} } = opts
    if (flags.local) return super.broadcast(packet, opts)
    const data = { packet, opts: { rooms: [...rooms], except: [...except], flags } }
    try {
      await this.publishAndReturnOffset({ type: MessageType.BROADCAST, data })
    } catch {
      // It cannot be said in JSON, or the bus has a bug: then the clients here get it alone.
      return super.broadcast(packet, { ...opts, flags: { ...flags, local: true } })
    }
  }

  protected override async doPublish(message: ClusterMessage): Promise<string> {
    await this.#listening
    return offsetOf(await this.#samovar.bus.publish(this.#channel, encodePacket(message)))
  }

  protected override async doPublishResponse(requester: string, response: ClusterResponse): Promise<void> {
    await this.#samovar.bus.publish(this.#answersTo(requester), encodePacket(response))
  }

  override persistSession(session: Omit<Session, 'missedPackets'>): void {
    void this.#persist({ ...session, server: this.uid })
  }

  /** Where it cannot be done the client is not recovered, and is told so. */
  async #persist(session: Persisted): Promise<void> {
    try {
      const bytes = Buffer.from(JSON.stringify(encodePacket(session)))
      await this.#samovar.state.write(keyOf(session.pid), bytes, this.#keptMs())
    } catch (error) {
      // `socket.data` may hold what is no JSON.
      if (!isAway(error)) process.emitWarning(`socket.io: a session is not kept: ${error}`)
    }
  }

  override async restoreSession(pid: string, offset: string): Promise<Session> {
    const since = positionOf(offset)
    const found = await orWhenAway(this.#samovar.state.read(keyOf(pid)), undefined)
    const json = found && found.bytes.length > 0 ? parseJson(found.bytes) : corrupt
    const session = json === corrupt ? undefined : decodePacket(json as Json)
    if (!since || !found || !isPersisted(session)) return notRecovered()
    // Of two that come back with one id only the first one is that client.
    const isOurs = this.#samovar.state.update(keyOf(pid), Buffer.alloc(0), MINUTE, found.timestamp)
    if (!(await orWhenAway(isOurs, false))) return notRecovered()
    const here = session.server === this.uid ? this.#delivered.after(since) : undefined
    const missed = here ?? (await this.#inChannelAfter(since))
    if (!missed) return notRecovered()
    return { ...session, missedPackets: missed.flatMap((message) => packetFor(session, message)) }
  }

  async #inChannelAfter(since: Position): Promise<readonly BusMessage[] | undefined> {
    const nobody = { message: () => {}, gap: () => {} }
    const { recovered, missed, close } = await this.#samovar.bus.subscribe(this.#channel, nobody, since)
    close()
    return recovered ? missed : undefined
  }

  readonly #answersTo = (server: string) => `${this.#channel}#${server}`

  readonly #keptMs = () => this.#recovery?.maxDisconnectionDuration ?? 2 * MINUTE

  #receive(message: BusMessage): void {
    const packet = decodePacket(message.data) as ClusterMessage
    if (this.#recovery && isKept(packet)) this.#delivered.add(message)
    if (packet.uid !== this.uid) this.onMessage(packet, offsetOf(message))
    // The library passes over what says that it is its own.
    else if (isBroadcast(packet)) this.onMessage({ ...packet, uid: '' }, offsetOf(message))
  }
}

/** socket.io takes a rejection for "make a new session". */
const notRecovered = () => Promise.reject(new Error('the session or what it missed is not there any more'))

const keyOf = (pid: string) => adapterKeys['socket-io'](createHash('sha256').update(pid).digest('base64url'))

const offsetOf = ({ epoch, offset }: Position) => `${offset}@${epoch}`

function positionOf(text: string): Position | undefined {
  const [, offset, epoch] = /^(\d+)@(.+)$/.exec(text) ?? []
  return offset === undefined || epoch === undefined ? undefined : { epoch, offset: Number(offset) }
}

const isBroadcast = (packet: ClusterMessage): packet is Broadcast =>
  packet.type === MessageType.BROADCAST && packet.data.requestId === undefined

/** Whether a client that was away may be given it later, as socket.io's own adapters have it. */
function isKept(packet: ClusterMessage): packet is Broadcast {
  if (!isBroadcast(packet)) return false
  const { type, id } = packet.data.packet as { type: number; id?: number }
  return type === EVENT && id === undefined && packet.data.opts.flags?.volatile === undefined
}

/** What that client would have been sent, with its offset. */
function packetFor({ rooms }: Persisted, message: BusMessage): unknown[][] {
  const packet = decodePacket(message.data) as ClusterMessage
  if (!isKept(packet)) return []
  const { opts } = packet.data
  const { data } = packet.data.packet as { data: unknown[] }
  const isMeant = opts.rooms.length === 0 || rooms.some((room) => opts.rooms.includes(room))
  const isExcepted = rooms.some((room) => opts.except.includes(room))
  return isMeant && !isExcepted ? [[...data, offsetOf(message)]] : []
}
