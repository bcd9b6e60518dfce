// The HTTP server: what every request passes through, and a stop that cuts no answer short.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer } from 'node:net'
import express, { type RequestHandler } from 'express'
import { upgradeRequired } from '../errors.ts'
import { asTask, type DrainGate } from '../lib/async/drain-gate.ts'
import { withDeadline } from '../lib/async/request-deadline.ts'
import { createLazySignal, withRequestSignal } from '../lib/async/request-signal.ts'
import { pause, SECOND } from '../lib/time.ts'
import type { Log } from '../log.ts'
import { type Admission, createAdmission } from './admission/admission.ts'
import { parsedBody } from './admission/read-body.ts'
import type { CachedRoute } from './cached-response.ts'
import { createCachedRoutes } from './cached-routes.ts'
import { serveFiles } from './page.ts'
import { endpoint, onlyJsonOrOwnForm } from './parse.ts'
import type { Probe } from './probes/probe.ts'
import { createProbeRoutes } from './probes/probe-routes.ts'
import { answerNotFound, answerProblems } from './problem.ts'
import { logRequests } from './request-log.ts'
import { pathOf } from './request-target.ts'
import { sameSite, securityHeaders } from './security.ts'
import { serveIcon } from './site/favicon.ts'
import type { Site } from './site/site-header.ts'
import { createUpgrades, type UpgradeRoute } from './sockets/upgrades.ts'

const BODY_BYTES = 100 * 1024
const MOST_FIELDS = 200 // of a form
const LAST_REQUEST_MS = 500 // how long an open connection may bring one more request while stopping
const DRAIN_MS = 2.5 * SECOND
/** Connections that wait to be accepted. Who finds no room there tries again after a second, then after three more. */
const MOST_WAITING = 4_096

export interface HttpServer {
  /** Resolves with the port once it accepts connections; rejects when the port is taken. */
  listen(port: number): Promise<number>
  /** Answers what is under way, tells every open connection to go, and resolves when all are gone. */
  close(): Promise<void>
}

export interface HttpServerOptions {
  /** Served before bodies are parsed and before pages of other sites are refused: they see the bytes as they came. */
  rawRouters: readonly RequestHandler[]
  /** What refuses by who asks and for what: before the body is read. */
  limiters?: readonly RequestHandler[]
  routers: readonly RequestHandler[]
  /** Answered before everything else where memory has the value. */
  cached?: readonly CachedRoute[]
  probes?: readonly Probe[]
  trustProxy: number
  /** Whether HTTPS is promised for every host under this one, too. */
  hstsSubdomains?: boolean
  /** What speaks another protocol. */
  upgrades?: readonly UpgradeRoute[]
  /** How long a request may wait for Redis, all its commands together, ms. */
  deadlineMs?: number
  /** What is no GET begins only while it is open, and may finish when it is being closed. */
  changes?: Pick<DrainGate, 'pass'>
  /** What the header of every page shows. */
  site?: Site
  log: Log
  /** What strangers may take; bench/admission.ts measures what it costs. */
  admission?: Admission
}

/** A request for a path of WebSockets that asks for none. */
const askForUpgrade: RequestHandler = () => {
  throw upgradeRequired()
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { rawRouters, limiters = [], routers, trustProxy, upgrades: routes = [], changes, log } = options
  const { deadlineMs = Number.POSITIVE_INFINITY, hstsSubdomains = false, cached = [], probes = [] } = options
  const cachedRoutes = createCachedRoutes({ routes: cached, trustProxy, hstsSubdomains, log })
  const probeRoutes = createProbeRoutes(probes, { trustProxy, hstsSubdomains, log })
  const { admission = createAdmission({ trustProxy, log }) } = options
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('trust proxy', trustProxy)
  app.set('query parser', 'simple')
  app.locals.site = options.site
  app.use(logRequests(log), securityHeaders({ hstsSubdomains }), admission.refuse)
  if (changes) app.use(admitChanges(changes))
  for (const router of rawRouters) app.use(router)
  app.use(sameSite, onlyJsonOrOwnForm)
  for (const limiter of limiters) app.use(limiter)
  app.use(parsedBody(BODY_BYTES, MOST_FIELDS))
  app.use(probeRoutes.router, cachedRoutes.router)
  for (const router of routers) app.use(router)
  for (const { path } of routes) endpoint(app, path, { get: askForUpgrade })
  serveFiles(app, '/static', import.meta.url)
  serveIcon(app)
  app.use(answerNotFound, answerProblems(log))

  let stopping = false
  const unanswered = new Set<ServerResponse>()
  const server: Server = createServer(
    {
      headersTimeout: 10 * SECOND,
      requestTimeout: 30 * SECOND,
      keepAliveTimeout: 75 * SECOND, // above the 60 s of common proxies, so that they close first
      connectionsCheckingInterval: 2 * SECOND,
      // What else is offered (h2c, as curl --http2 does) is declined by answering the request (RFC 9110, 7.8).
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    },
    (req, res) => admission.arrived(req, res, () => answer(req, res), answerNow),
  )

  // What is sent already need not be told that the server stops; and a URL is known as it is written in a path.
  const answerNow = (req: IncomingMessage, res: ServerResponse) =>
    !stopping && (probeRoutes.answer(req, res) || cachedRoutes.answer(req, res))

  function answer(req: IncomingMessage, res: ServerResponse): void {
    if (stopping) res.setHeader('Connection', 'close')
    const path = pathOf(req.url ?? '')
    // As Node refuses what is no HTTP.
    if (path === undefined) return void res.writeHead(400, { Connection: 'close' }).end()
    req.url = path
    if (answerNow(req, res)) return
    unanswered.add(res)
    const gone = createLazySignal()
    res.once('close', () => {
      unanswered.delete(res)
      if (!res.writableFinished) gone.abort()
    })
    withDeadline(deadlineMs, (end) => {
      res.once('close', end)
      asTask((ended) => {
        res.once('close', ended)
        withRequestSignal(gone.signal, () => app(req, res))
      })
    })
  }

  server.on('connection', admission.connected)
  const upgrades = createUpgrades({ routes, trustProxy, deadlineMs, admission, log })
  if (routes.length > 0) server.on('upgrade', upgrades.upgrade)

  return {
    listen: (port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ port, backlog: MOST_WAITING }, () => {
          server.off('error', reject)
          resolve((server.address() as AddressInfo).port)
        })
      }),

    async close() {
      if (!server.listening) return
      stopping = true
      admission.close()
      const upgradesClosed = upgrades.close()
      // Not the HTTP server's own close, which cuts every connection that is between two requests.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      for (const res of unanswered) if (!res.headersSent) res.setHeader('Connection', 'close')
      // A connection that is idle now may be about to carry a request: it is answered, and told to go.
      await Promise.race([closed, pause(LAST_REQUEST_MS)])
      server.closeIdleConnections()
      await Promise.race([closed, pause(DRAIN_MS)])
      server.closeAllConnections()
      await upgradesClosed
      await closed
    },
  }
}

/** Whoever logs out where nobody knows of the login yet must not be told that it is done. */
function admitChanges(changes: Pick<DrainGate, 'pass'>): RequestHandler {
  return async function admitChange({ method }, _res, next) {
    if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS') await changes.pass(async () => {})
    next()
  }
}
