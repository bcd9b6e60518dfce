// The app's HTTP server with one route that sends what a cache holds; with NO_ADMISSION set, nothing is counted or
// paced.
import { readFileSync } from 'node:fs'
import type { Admission } from '../../src/http/admission/admission.ts'
import { cachedRoute } from '../../src/http/cached-response.ts'
import { createHttpServer } from '../../src/http/server.ts'
import { silent } from '../open-app-roles.ts'

const body = readFileSync(process.env.BODY_FILE ?? '')
const route = cachedRoute({
  path: process.env.ROUTE ?? '/',
  parse: () => undefined,
  peek() {
    const storedAtMs = Date.now()
    return { outcome: 'hit', body, etag: '"1"', storedAtMs, freshUntilMs: storedAtMs + 60_000 }
  },
  read: () => Promise.reject(new Error('it is in memory')),
})

const none: Admission = {
  connected() {},
  arrived(req, res, begin, answerNow) {
    if (!answerNow(req, res)) begin()
  },
  refuse: (_req, _res, next) => next(),
  upgrading: (_req, _connection, begin) => begin(),
  turnAway() {},
  close() {},
}

const server = createHttpServer({
  rawRouters: [],
  routers: [],
  cached: [route],
  trustProxy: 0,
  log: silent,
  ...(process.env.NO_ADMISSION && { admission: none }),
})
await server.listen(Number(process.env.PORT))
process.send?.('ready')
process.on('disconnect', () => process.exit())
