// A name for each request, and its line in the log: what failed at `warn`, everything at `debug`.
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import type { Log } from '../log.ts'

declare module 'express-serve-static-core' {
  interface Request {
    /** Sent back as X-Request-Id; a proxy's own is kept when it is a plain word. */
    id: string
  }
}

export function logRequests(log: Log): RequestHandler {
  return function logRequest(req, res, next) {
    req.id = logWhenDone(req, res, req.path, log)
    res.setHeader('X-Request-Id', req.id)
    next()
  }
}

/** The request's name; its line is written when it has been answered. */
export function logWhenDone(req: IncomingMessage, res: ServerResponse, path: string, log: Log): string {
  const given = req.headers['x-request-id']
  const requestId = typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID()
  const startedAt = performance.now()
  res.once('finish', () => {
    const level = res.statusCode >= 500 ? 'warn' : 'debug'
    const ms = Math.round(performance.now() - startedAt)
    log[level]({ requestId, method: req.method, path, status: res.statusCode, ms }, 'request')
  })
  return requestId
}
