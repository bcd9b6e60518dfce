// A name for each request, and its line in the log: what failed at `warn`, everything at `debug`.
import { randomUUID } from 'node:crypto'
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
    const given = req.headers['x-request-id']
    req.id = typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID()
    res.setHeader('X-Request-Id', req.id)
    const startedAt = performance.now()
    res.once('finish', () => {
      const level = res.statusCode >= 500 ? 'warn' : 'debug'
      const ms = Math.round(performance.now() - startedAt)
      log[level](
        { requestId: req.id, method: req.method, path: req.path, status: res.statusCode, ms },
        'request',
      )
    })
    next()
  }
}
