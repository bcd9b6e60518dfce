// Requests that come on a connection before the earlier ones are answered: each begins once the answer before it has
// been taken, so that a client who reads nothing is given one. Browsers and proxies send no second one.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** With the one that is being answered. */
export const MOST_UNANSWERED = 4

export interface Pipelines {
  /** Whether no request of the connection is being answered. */
  isIdle(socket: Socket): boolean
  /** Calls it once its turn has come; false where too many wait, then the connection is to be closed. */
  enter(socket: Socket, res: ServerResponse, begin: () => void): boolean
}

export function createPipelines(): Pipelines {
  const waiting = new WeakMap<Socket, (() => void)[]>() // of connections with a request that is being answered

  function proceed(socket: Socket): void {
    const next = waiting.get(socket)?.shift()
    if (next) next()
    else waiting.delete(socket)
  }

  return {
    isIdle: (socket) => !waiting.has(socket),
    enter(socket, res, begin) {
      const line = waiting.get(socket)
      if (line && line.length + 1 >= MOST_UNANSWERED) return false
      res.once('close', () => proceed(socket))
      if (line) line.push(begin)
      else {
        waiting.set(socket, [])
        // Not before all of what came with it has been looked at: it may be too much.
        process.nextTick(begin)
      }
      return true
    },
  }
}

/**
 * What one read has brought may hold hundreds of requests after the last one that counts: they are not parsed. Node has
 * no call for that; its parser asks `onIncoming` of each request, and stops where that says that another protocol
 * follows (2). Where it has no such parser, they are parsed and dropped.
 */
export function parseNoMore(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming?: () => number } | null }
  if (parser) parser.onIncoming = () => 2
}
