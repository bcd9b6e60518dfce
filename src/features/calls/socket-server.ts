// Which sockets there are: who may open one, how many, which of them are still alive, and how they end when the app stops.
import type { Duplex } from 'node:stream'
import type { Request } from 'express'
import { type WebSocket, WebSocketServer } from 'ws'
import { callKeyRequired, crossSite, tooManySockets, tooManySocketsHere } from '../../errors.ts'
import { type Now, pause, SECOND, type StartTimer, startTimer as startRealTimer } from '../../lib/time.ts'
import { createCallLimits } from './call-limits.ts'
import { type Caller, type CallSocket, type CallSocketParts, CLOSE, runCallSocket } from './call-socket.ts'
import { roomOfKey } from './guest-link.ts'
import { MESSAGE_BYTES } from './protocol.ts'

export const HEARTBEAT_MS = 25 * SECOND
const SOCKETS_PER_ADDRESS = 100
const GOODBYE_MS = 500

export interface SocketServerParts extends Omit<CallSocketParts, 'now' | 'limits'> {
  mostSockets: number
  /** The name of whoever is logged in with this request. */
  userName(req: Request): string | undefined
  /** Whether that login has ended since. */
  hasLoggedOut(req: Request): Promise<boolean>
  /** Undefined when many clients share the address. */
  addressOf(req: Request): string | undefined
  /** Whose messages are counted together; undefined where nobody can be told apart. */
  clientOf(req: Request): string | undefined
  now?: Now
  startTimer?: StartTimer
}

interface Open {
  readonly socket: WebSocket
  readonly call: CallSocket
  readonly req: Request
  readonly isGuest: boolean
  wasHeard: boolean
  /** How many heartbeats it has been without a seat. */
  idleBeats: number
}

export interface SocketServer {
  accept(req: Request, socket: Duplex, head: Buffer): void
  /** So many are open. */
  sockets(): number
  close(): Promise<void>
}

export function createSocketServer(parts: SocketServerParts): SocketServer {
  const { secrets, mostSockets, userName, hasLoggedOut, addressOf, clientOf } = parts
  const { now = Date.now, startTimer = startRealTimer } = parts
  const open = new Set<Open>()
  const byAddress = new Map<string, number>()
  const limits = createCallLimits(now)
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MESSAGE_BYTES,
    perMessageDeflate: false,
  })
  let stopHeartbeat = startTimer(HEARTBEAT_MS, beat)

  /** Who asks; throws when nobody may be sure of it. */
  function callerOf(req: Request): Caller & { isGuest: boolean } {
    const { origin, host } = req.headers
    // Programs send no Origin; a browser always does, also for a page that would ride on its user's cookie.
    if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)) throw crossSite()
    const [name, client] = [userName(req), clientOf(req)]
    if (name !== undefined) return { name, client, mayJoin: () => true, isGuest: false }
    const { key } = req.query
    const only = typeof key === 'string' ? roomOfKey(key, now(), secrets) : undefined
    if (only === undefined) throw callKeyRequired()
    return { name: undefined, client, mayJoin: (room) => room === only, isGuest: true }
  }

  function count(address: string | undefined, change: 1 | -1): void {
    if (address === undefined) return
    const after = (byAddress.get(address) ?? 0) + change
    if (after === 0) byAddress.delete(address)
    else byAddress.set(address, after)
  }

  /** A socket that has not answered since the last time is gone, one that never joined has had its time. */
  async function check(one: Open): Promise<void> {
    if (!one.wasHeard) return one.socket.terminate()
    one.idleBeats = one.call.isJoined() ? 0 : one.idleBeats + 1
    if (one.idleBeats > 1) return one.call.close(CLOSE.refused, 'idle')
    one.wasHeard = false
    one.socket.ping()
    if (!one.isGuest && (await hasLoggedOut(one.req))) one.call.close(CLOSE.refused, 'logged_out')
  }

  function beat(): void {
    for (const one of open) {
      check(one).catch((error) => parts.log.error({ err: error }, 'a call socket could not be checked'))
    }
    stopHeartbeat = startTimer(HEARTBEAT_MS, beat)
  }

  return {
    accept(req, connection, head) {
      const { isGuest, ...caller } = callerOf(req)
      const address = addressOf(req)
      if (open.size >= mostSockets) throw tooManySockets()
      if (address !== undefined && (byAddress.get(address) ?? 0) >= SOCKETS_PER_ADDRESS) {
        throw tooManySocketsHere()
      }
      server.handleUpgrade(req, connection, head, (socket) => {
        const call = runCallSocket(socket, caller, { ...parts, limits, now })
        const one: Open = { socket, call, req, isGuest, wasHeard: true, idleBeats: 0 }
        open.add(one)
        count(address, 1)
        const heard = () => {
          one.wasHeard = true
        }
        socket.on('pong', heard)
        socket.on('message', heard)
        socket.once('close', () => {
          open.delete(one)
          count(address, -1)
        })
      })
    },

    sockets: () => open.size,

    async close() {
      stopHeartbeat()
      const gone = [...open].map(({ socket }) => new Promise((resolve) => socket.once('close', resolve)))
      for (const { call } of open) call.close(CLOSE.restart, 'restart')
      parts.rooms.close()
      await Promise.race([Promise.all(gone), pause(GOODBYE_MS)])
      for (const { socket } of open) socket.terminate()
    },
  }
}
