// The end of connections that are closed with their last answer. A client that is still sending has a moment to take
// it, in which nothing more is read: destroyed immediately, what has arrived unread would make the kernel reset the
// connection, and the client might lose the answer.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SECOND, type StartTimer } from '../../lib/time.ts'
import { budgets } from './budgets.ts'
import type { Client } from './clients.ts'
import { createShares } from './shares.ts'

const MOMENT_MS = SECOND
/** So much of a body that nobody wants is read and dropped, as its connection may be of use yet. */
const MOST_DROPPED_BYTES = 64 * 1024

export interface Farewell {
  readonly client: Client
  readonly last?: Buffer
  readonly isSending: boolean
}

export interface Farewells {
  /** The last bytes, the end, and the end of the connection within a second, also where nobody takes them. */
  say(connection: Duplex, farewell: Farewell): void
  /** Of a request that is being worked on: it is answered, and so ended if the answer comes before all of its body. */
  expectBody(req: IncomingMessage, res: ServerResponse, client: Client): void
}

export function createFarewells(startTimer: StartTimer): Farewells {
  const shares = createShares(budgets.farewells)

  function say(connection: Duplex, { client, last, isSending }: Farewell): void {
    const waits = isSending && shares.shortageFor(client, 1) === undefined
    if (waits) shares.add(client, 1)
    else connection.once('finish', () => connection.destroy())
    const stop = startTimer(MOMENT_MS, () => connection.destroy())
    connection.once('close', () => {
      if (waits) shares.add(client, -1)
      stop()
    })
    connection.pause()
    // Node has just begun to read and drop the body, where no handler had begun to read it.
    setImmediate(() => connection.pause())
    connection.end(last)
  }

  return {
    say,
    expectBody(req, res, client) {
      if (isWorthReading(req)) return
      const { socket } = req
      const { shouldKeepAlive } = res
      res.shouldKeepAlive = false
      // What Node calls once such an answer is on its way.
      socket.destroySoon = () => say(socket, { client, isSending: true })
      req.once('end', () => {
        res.shouldKeepAlive = shouldKeepAlive
        socket.destroySoon = Socket.prototype.destroySoon
      })
    },
  }
}

export const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/** Whether an unwanted body is read to its end. */
export const isWorthReading = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) <= MOST_DROPPED_BYTES
