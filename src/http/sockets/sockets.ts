// The WebSockets of a route: who may open one, how many, which of them are still alive, and how they end.
import type { Duplex } from 'node:stream'
import type { Request } from 'express'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Bus } from '../../core/bus/bus.ts'
import { type AppError, crossSite, stopping, tooManySockets } from '../../errors.ts'
import { createGate } from '../../lib/async/gate.ts'
import { type Now, pause, SECOND, type StartTimer, startTimer as startRealTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { isOwnOrigin } from '../security.ts'
import {
  type Held,
  type OpenSocket,
  openSocket,
  positionOf,
  type Socket,
  type SocketEvents,
} from './open-socket.ts'
import { createSocketLimits } from './socket-limits.ts'
import type { UpgradeRoute } from './upgrades.ts'

export const HEARTBEAT_MS = 25 * SECOND
const MOST_SOCKETS = 1_000 // of this process
const MESSAGE_BYTES = 64 * 1024
const GOODBYE_MS = 500
/** Redis has one connection for their work and for the state, which must not wait long behind it. */
const AT_ONCE_BYTES = 512 * 1024

export interface SocketOptions<Caller> {
  readonly path: string
  /** Who opens it; throws a refusal. */
  callerOf(req: Request): Caller | Promise<Caller>
  /** Whose messages are counted together; undefined where clients cannot be told apart. */
  clientOf(req: Request): string | undefined | Promise<string | undefined>
  /** Whether the login that the request came with has ended since: then the socket ends as well. */
  hasLoggedOut(req: Request, caller: Caller): Promise<boolean>
  /** Takes the socket into use. */
  open(socket: Socket, caller: Caller, client: string | undefined): SocketEvents | Promise<SocketEvents>
  /** How many of this process; 1,000 unless said. */
  readonly most?: number
  /** How many of each user, or address, or what `of` answers. */
  readonly mostEach?: {
    readonly most: number
    of(req: Request, caller: Caller): string | undefined | Promise<string | undefined>
    readonly refuse?: () => AppError
  }
  /** How large a message may be; 64 KiB unless said. */
  readonly messageBytes?: number
  readonly bus: Pick<Bus, 'subscribe'>
  readonly log: Log
  readonly now?: Now
  readonly startTimer?: StartTimer
}

export interface SocketRoute extends Omit<UpgradeRoute, 'handlers'> {
  /** So many are open. */
  sockets(): number
}

interface Open<Caller> {
  readonly ws: WebSocket
  readonly socket: OpenSocket
  readonly req: Request
  readonly caller: Caller
  wasHeard: boolean
  idleBeats: number
}

export function createSockets<Caller>(options: SocketOptions<Caller>): SocketRoute {
  const { path, bus, log, most = MOST_SOCKETS, mostEach, messageBytes = MESSAGE_BYTES } = options
  const { now = Date.now, startTimer = startRealTimer } = options
  const open = new Set<Open<Caller>>()
  const counts = new Map<string, number>()
  const limitsOf = createSocketLimits(now, log)
  const held: Held = { waitingBytes: 0, unsentBytes: 0, gate: createGate(AT_ONCE_BYTES) }
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: messageBytes,
    perMessageDeflate: false,
  })
  let stopHeartbeat = startTimer(HEARTBEAT_MS, beat)

  function count(name: string | undefined, change: 1 | -1): void {
    if (name === undefined) return
    const after = (counts.get(name) ?? 0) + change
    if (after === 0) counts.delete(name)
    else counts.set(name, after)
  }

  /** A socket that has not answered since the last time is gone, one that is idle has had its time. */
  async function check(one: Open<Caller>): Promise<void> {
    if (!one.wasHeard) return one.ws.terminate()
    one.idleBeats = one.socket.isIdle() ? one.idleBeats + 1 : 0
    if (one.idleBeats > 1) return one.socket.end('idle')
    one.wasHeard = false
    one.ws.ping()
    if (await options.hasLoggedOut(one.req, one.caller)) one.socket.end('logged_out')
  }

  function checkAll(): void {
    for (const one of open) {
      check(one).catch((error) =>
        log.error({ err: error, path }, 'a WebSocket could not be checked; it stays open'),
      )
    }
  }

  function beat(): void {
    // After the poll phase: where the process stood still, answers that have arrived are read first.
    setImmediate(checkAll)
    stopHeartbeat = startTimer(HEARTBEAT_MS, beat)
  }

  let isClosed = false

  return {
    path,
    async accept(req, connection: Duplex, head) {
      // Programs send no Origin; a browser always does, also for a page that would use its user's cookie.
      if (!isOwnOrigin(req)) throw crossSite()
      const caller = await options.callerOf(req)
      const client = await options.clientOf(req)
      const each = await mostEach?.of(req, caller)
      if (isClosed) throw stopping()
      if (open.size >= most) throw tooManySockets()
      if (mostEach && each !== undefined && (counts.get(each) ?? 0) >= mostEach.most) {
        throw (mostEach.refuse ?? tooManySockets)()
      }
      server.handleUpgrade(req, connection, head, (ws) => {
        const { allowsMessage, allowsReceived } = limitsOf(client)
        const socket = openSocket(ws, {
          path,
          bus,
          held,
          allowsMessage,
          since: positionOf(req.query.since),
          open: (opened) => options.open(opened, caller, client),
          log,
        })
        const one: Open<Caller> = { ws, socket, req, caller, wasHeard: true, idleBeats: 0 }
        open.add(one)
        count(each, 1)
        const heard = () => {
          one.wasHeard = true
        }
        connection.on('data', (part: Buffer) => {
          if (!allowsReceived(part.length)) socket.end('too_many_messages')
        })
        ws.on('pong', heard)
        ws.on('message', heard)
        ws.once('close', () => {
          open.delete(one)
          count(each, -1)
        })
      })
    },

    sockets: () => open.size,

    async close() {
      isClosed = true
      stopHeartbeat()
      const gone = [...open].map(({ ws }) => new Promise((resolve) => ws.once('close', resolve)))
      for (const { socket } of open) socket.end('restart')
      await Promise.race([Promise.all(gone), pause(GOODBYE_MS)])
      for (const { ws } of open) ws.terminate()
    },
  }
}
