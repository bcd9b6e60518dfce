// socket.io's adapter over the channel layer: rooms across processes, in one order, and clients that come back are
// given what they missed (`connectionStateRecovery`).
//
// All packets of a namespace go through one channel; who is in it tells how many servers there are. A client's offset
// is its position there, so what it missed is what the channel has since: 200 messages, two minutes or 256 KiB. Where
// that is not all, it is not recovered, and is told so, instead of a gap that nobody notices: so it is when Redis was
// left or came back in between, since nobody can say what others published then before what it has.
import { createHash } from 'node:crypto'
import { ClusterAdapter, type ClusterMessage, type ClusterResponse, type Session } from 'socket.io-adapter'
import type { BusMessage, Json, Position, Subscription } from '../core/bus/bus.ts'
import { corrupt, isArrayOf, isShape, isText, parseJson } from '../lib/codec.ts'
import { MINUTE } from '../lib/time.ts'
import { adapterKeys } from '../package/adapter-keys.ts'
import type { Samovar } from '../package/samovar.ts'
import { orWhenAway } from './away.ts'
import { decodePacket, encodePacket } from './socket-packets.ts'

const MOST_SERVERS = 1_000
const WAITING = 1_000 // messages of the channel that may wait for this process before there is a gap
/** MessageType.BROADCAST: the library does not export what it compiles its enumeration to as a value. */
const BROADCAST = 3

/** What is used of socket.io's namespace; its own type says that the options are private. */
interface Namespace {
  readonly name: string
  readonly server: {
    readonly opts: { readonly connectionStateRecovery?: { maxDisconnectionDuration?: number } }
  }
}

type Persisted = Omit<Session, 'missedPackets'>

const isPersisted = isShape<Persisted>({
  sid: isText,
  pid: isText,
  rooms: isArrayOf(isText),
  data: (json): json is unknown => json !== undefined,
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
  readonly #namespace: Namespace
  readonly #channel: string
  readonly #subscribed: Promise<Subscription>

  constructor(namespace: Namespace, samovar: Pick<Samovar, 'bus' | 'state'>) {
    super(namespace)
    this.#samovar = samovar
    this.#namespace = namespace
    this.#channel = `socket.io:${namespace.name}`
    this.#subscribed = samovar.bus.subscribe(this.#channel, {
      capacity: WAITING,
      message: (message) => this.#receive(message),
      gap: () => {},
    })
    this.#subscribed.catch(() => {}) // said by who asks for it
  }

  override async init(): Promise<void> {
    await this.#subscribed
    await this.#samovar.bus.enter(this.#channel, { id: this.uid, info: null }, MOST_SERVERS)
  }

  override async close(): Promise<void> {
    ;(await this.#subscribed).close()
    await this.#samovar.bus.leave(this.#channel, this.uid)
  }

  /** While Redis is away, of those that are known here: nobody else would answer. */
  override async serverCount(): Promise<number> {
    return Math.max(1, (await this.#samovar.bus.members(this.#channel)).length)
  }

  protected override async doPublish(message: ClusterMessage): Promise<string> {
    return offsetOf(await this.#samovar.bus.publish(this.#channel, encodePacket(message)))
  }

  protected override async doPublishResponse(requester: string, response: ClusterResponse): Promise<void> {
    await this.#samovar.bus.publish(this.#channel, encodePacket({ ...response, to: requester }))
  }

  override persistSession(session: Persisted): void {
    const { maxDisconnectionDuration: keptMs = 2 * MINUTE } =
      this.#namespace.server.opts.connectionStateRecovery ?? {}
    const bytes = Buffer.from(JSON.stringify(encodePacket(session)))
    // Without it the client is not recovered, and is told so.
    orWhenAway(this.#samovar.state.write(keyOf(session.pid), bytes, keptMs), false).catch(this.#failed)
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
    const nobody = { message: () => {}, gap: () => {} }
    const { recovered, missed, close } = await this.#samovar.bus.subscribe(this.#channel, nobody, since)
    close()
    if (!recovered) return notRecovered()
    return { ...session, missedPackets: missed.flatMap((message) => packetFor(session, message)) }
  }

  readonly #failed = (error: unknown) => void this.emit('error', error)

  #receive(message: BusMessage): void {
    const packet = decodePacket(message.data) as ClusterMessage & { to?: string }
    if (packet.uid === this.uid || (packet.to !== undefined && packet.to !== this.uid)) return
    this.onMessage(packet, offsetOf(message))
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

/** What that client would have been sent, with its offset, as socket.io's own adapters do. */
function packetFor({ rooms }: Persisted, message: BusMessage): unknown[][] {
  const packet = decodePacket(message.data) as ClusterMessage
  if (packet.type !== BROADCAST || packet.data.requestId !== undefined) return []
  const { opts } = packet.data
  const { type, id, data } = packet.data.packet as { type: number; id?: number; data: unknown[] }
  const isStored = type === 2 && id === undefined && opts.flags?.volatile === undefined
  const isMeant = opts.rooms.length === 0 || rooms.some((room) => opts.rooms.includes(room))
  const isExcepted = rooms.some((room) => opts.except.includes(room))
  return isStored && isMeant && !isExcepted ? [[...data, offsetOf(message)]] : []
}
