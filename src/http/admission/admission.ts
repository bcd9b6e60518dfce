// Admission before work, for every protocol: connections, requests, bodies and WebSockets are counted per client and in
// all, and what is too much is refused before anything is done for it. Whole numbers only, and one timer for all.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RequestHandler } from 'express'
import { type AppError, busy, tooManyAtOnce, twoHosts } from '../../errors.ts'
import { SECOND, type StartTimer, startTimer as startRealTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { budgets } from './budgets.ts'
import { createClients } from './clients.ts'
import { createConnections } from './connections.ts'
import { createShares } from './shares.ts'
import { createRequestsUnderWay, underWayOf } from './under-way.ts'

const LOOK_MS = 2 * SECOND
/** The platform restarts what does not answer here: these are never too many. */
const PROBES = new Set(['/livez', '/readyz'])

export interface AdmissionOptions {
  readonly trustProxy: number
  readonly log: Log
  readonly startTimer?: StartTimer
}

export function createAdmission({ trustProxy, log, startTimer = startRealTimer }: AdmissionOptions) {
  const clients = createClients(trustProxy)
  const connections = createConnections(clients, trustProxy > 0)
  const requests = createRequestsUnderWay()
  const sockets = createShares(budgets.sockets)
  let hasWarned = trustProxy > 0
  let stopLooking = startTimer(LOOK_MS, look)

  function look(): void {
    requests.look()
    stopLooking = startTimer(LOOK_MS, look)
  }

  function warnOfProxy({ headers }: IncomingMessage): void {
    const name = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'].find((one) => one in headers)
    if (name === undefined) return
    hasWarned = true
    log.warn(
      { header: name },
      'X-Forwarded-* is ignored, because TRUST_PROXY is 0: behind a proxy all visitors count as one, and cookies are ' +
        'not Secure. If a proxy of yours sends it, set TRUST_PROXY to the number of proxies',
    )
  }

  return {
    connected: (socket: Socket) => connections.admit(socket),

    /** Of every request, before anything else. */
    began(req: IncomingMessage, res: ServerResponse): void {
      const { socket } = req
      connections.busy(socket)
      res.once('close', () => connections.idle(socket))
      if (!hasWarned) warnOfProxy(req)
      requests.begin(req, res, clients.of(req), PROBES.has(req.url ?? ''))
    },

    /** The first handler: what is not admitted goes no further. */
    refuse: ((req, _res, next) => {
      if (hasTwoHosts(req)) throw twoHosts()
      const refusal = underWayOf(req)?.refusal
      if (refusal) throw refusal
      next()
    }) satisfies RequestHandler,

    /** Of every handshake of a WebSocket, which counts until its connection closes. */
    upgrading(req: IncomingMessage, connection: Duplex): AppError | undefined {
      connections.busy(req.socket)
      if (!hasWarned) warnOfProxy(req)
      const client = clients.of(req)
      const shortage = sockets.shortageFor(client, 1)
      if (shortage) return shortage === 'client' ? tooManyAtOnce() : busy()
      sockets.add(client, 1)
      connection.once('close', () => sockets.add(client, -1))
      return hasTwoHosts(req) ? twoHosts() : undefined
    },

    close: () => stopLooking(),
  }
}

export type Admission = ReturnType<typeof createAdmission>

/** Node keeps the first one and drops the others, where a proxy may have believed another: RFC 9112, 3.2. */
export function hasTwoHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts > 1
}
