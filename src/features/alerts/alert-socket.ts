// The WebSocket of the users' pages: it only tells. Who may open one, which are still alive, and how they end.
import type { Duplex } from 'node:stream'
import type { Request } from 'express'
import { type WebSocket, WebSocketServer } from 'ws'
import { crossSite, notLoggedIn, tooManySockets } from '../../errors.ts'
import { pause, SECOND, type StartTimer, startTimer as startRealTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { AlertPages } from './alert-pages.ts'

const HEARTBEAT_MS = 25 * SECOND
const MOST_SOCKETS = 1_000 // of this process
const SOCKETS_PER_USER = 20
const MESSAGE_BYTES = 1_024 // nothing is expected
const MOST_UNSENT_BYTES = 64 * 1_024
const GOODBYE_MS = 500
// https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
const CLOSE = { refused: 1008, failed: 1011, restart: 1012 }

export interface AlertSocketParts {
  pages: Pick<AlertPages, 'listen'>
  userIdOf(req: Request): string | undefined
  /** Whether the login that the request came with has ended since. */
  hasLoggedOut(req: Request): Promise<boolean>
  log: Log
  startTimer?: StartTimer
}

interface Open {
  readonly socket: WebSocket
  readonly req: Request
  readonly userId: string
  wasHeard: boolean
}

export interface AlertSocket {
  accept(req: Request, connection: Duplex, head: Buffer): void
  close(): Promise<void>
}

export function createAlertSocket(parts: AlertSocketParts): AlertSocket {
  const { pages, userIdOf, hasLoggedOut, log, startTimer = startRealTimer } = parts
  const open = new Set<Open>()
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MESSAGE_BYTES,
    perMessageDeflate: false,
  })
  let stopHeartbeat = startTimer(HEARTBEAT_MS, beat)

  function beat(): void {
    for (const one of open) {
      check(one).catch((error) => log.error({ err: error }, 'a socket of alerts could not be checked'))
    }
    stopHeartbeat = startTimer(HEARTBEAT_MS, beat)
  }

  async function check(one: Open): Promise<void> {
    if (!one.wasHeard) return one.socket.terminate()
    one.wasHeard = false
    one.socket.ping()
    if (await hasLoggedOut(one.req)) one.socket.close(CLOSE.refused)
  }

  async function run(one: Open): Promise<void> {
    const { socket, userId } = one
    open.add(one)
    const gone = new Promise((resolve) => socket.once('close', resolve)).then(() => open.delete(one))
    socket.on('pong', () => {
      one.wasHeard = true
    })
    socket.on('error', (error) => log.debug({ err: error }, 'a socket of alerts was refused'))
    const stop = await pages.listen(userId, (text) => {
      socket.send(text)
      if (socket.bufferedAmount > MOST_UNSENT_BYTES) socket.terminate()
    })
    void gone.then(stop)
    socket.send(JSON.stringify({ type: 'listening' }))
  }

  return {
    accept(req, connection, head) {
      const { origin, host } = req.headers
      // A browser always says whose page it is, also one that would ride on its user's cookie.
      if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)) throw crossSite()
      const userId = userIdOf(req)
      if (userId === undefined) throw notLoggedIn()
      const own = [...open].filter((one) => one.userId === userId).length
      if (open.size >= MOST_SOCKETS || own >= SOCKETS_PER_USER) throw tooManySockets()
      server.handleUpgrade(req, connection, head, (socket) => {
        run({ socket, req, userId, wasHeard: true }).catch((error) => {
          log.error({ err: error }, 'a socket of alerts failed')
          socket.close(CLOSE.failed)
        })
      })
    },

    async close() {
      stopHeartbeat()
      const gone = [...open].map(({ socket }) => new Promise((resolve) => socket.once('close', resolve)))
      for (const { socket } of open) socket.close(CLOSE.restart)
      await Promise.race([Promise.all(gone), pause(GOODBYE_MS)])
      for (const { socket } of open) socket.terminate()
    },
  }
}
