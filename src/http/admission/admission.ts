// Admission before work, for every protocol: connections, requests, bodies and WebSockets are counted per client and in
// all, and what is too much is refused before anything is done for it: no handler, no line in the log, and an answer
// that was made once. What is admitted begins in its turn. Whole numbers only, and one timer for all requests.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RequestHandler } from 'express'
import { twoHosts } from '../../errors.ts'
import { SECOND, type StartTimer, startTimer as startRealTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { budgets } from './budgets.ts'
import { type Client, createClients } from './clients.ts'
import { createConnections } from './connections.ts'
import { createFarewells, type Farewell, hasBody } from './farewells.ts'
import { createPipelines, parseNoMore } from './pipelines.ts'
import { answerOf, createCountASecond, isForPerson, refusalFor } from './refusals.ts'
import { createShares } from './shares.ts'
import { createTurns } from './turns.ts'
import { createRequestsUnderWay } from './under-way.ts'

const LOOK_MS = 2 * SECOND
/** The platform restarts what does not answer here: these are never too many. */
const PROBES = new Set(['/livez', '/readyz'])
const FORWARDED = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'] as const
const TWO_HOSTS = twoHosts()
const formFor = (req: IncomingMessage) => (isForPerson(req) ? 'page' : 'document')

export interface AdmissionOptions {
  readonly trustProxy: number
  readonly log: Log
  readonly startTimer?: StartTimer
}

export function createAdmission({ trustProxy, log, startTimer = startRealTimer }: AdmissionOptions) {
  const clients = createClients(trustProxy)
  const connections = createConnections(clients, trustProxy > 0)
  const requests = createRequestsUnderWay(isAnswered)
  const sockets = createShares(budgets.sockets)
  const handshakes = createCountASecond(budgets.handshakes)
  const refusals = createCountASecond(budgets.refusals)
  const probes = createCountASecond(budgets.probes)
  const farewells = createFarewells(startTimer)
  const pipelines = createPipelines()
  const turns = createTurns()
  let refused = 0
  let hasWarned = trustProxy > 0
  let stopLooking = startTimer(LOOK_MS, look)

  function look(): void {
    requests.look()
    if (refused > 0)
      log.warn({ refused, withinMs: LOOK_MS }, 'refused what was too much of a client or in all')
    refused = 0
    stopLooking = startTimer(LOOK_MS, look)
  }

  function warnOfProxy({ headers }: IncomingMessage): void {
    // Of every request until then: no loop, no function.
    const isForwarded =
      headers['x-forwarded-for'] !== undefined ||
      headers['x-forwarded-proto'] !== undefined ||
      headers['x-forwarded-host'] !== undefined
    if (!isForwarded) return
    const name = FORWARDED.find((one) => one in headers)
    hasWarned = true
    log.warn(
      { header: name },
      'X-Forwarded-* is ignored, because TRUST_PROXY is 0: behind a proxy all visitors count as one, and cookies are ' +
        'not Secure. If a proxy of yours sends it, set TRUST_PROXY to the number of proxies',
    )
  }

  /** Of every refusal: whether it is answered. */
  function isAnswered(client: Client): boolean {
    refused += 1
    return refusals.take(client) === undefined
  }

  function turnAway(connection: Duplex, farewell: Farewell): void {
    if (isAnswered(farewell.client)) farewells.say(connection, farewell)
    else connection.destroy()
  }

  /** An answer that its client has not taken. */
  function hold(req: IncomingMessage, res: ServerResponse): void {
    const { socket } = req
    connections.busy(socket)
    res.once('close', () => connections.idle(socket))
    requests.begin(req, res, clients.of(req), true)
    pipelines.enter(socket, res, () => {})
  }

  /** Whether the client is to be heard at all right now. A private address may be everybody's. */
  const isHeard = (client: Client) => trustProxy > 0 || client.isPrivate || !refusals.isUsedUp(client)

  return {
    connected(socket: Socket): void {
      turns.connected()
      if (isHeard(clients.at(socket.remoteAddress))) connections.admit(socket)
      else socket.destroy()
    },

    /**
     * Of every request, before anything else: `begin` is called now, later, or never. Before that `answerNow` may be,
     * which answers from memory, or does nothing: that costs no more than a refusal, so that it is nobody's too much.
     */
    arrived(
      req: IncomingMessage,
      res: ServerResponse,
      begin: () => void,
      answerNow: (req: IncomingMessage, res: ServerResponse) => boolean,
    ): void {
      const { socket } = req
      // Closed here, or in one read with the request that was the last one.
      if (socket.destroyed || !socket.writable) return void parseNoMore(socket)
      const isProbe = PROBES.has(req.url ?? '') && isAsPlatformsAsk(req) && pipelines.isIdle(socket)
      // More than a platform asks is answered as well, in its turn.
      const isUrgent = isProbe && probes.take(clients.of(req)) === undefined
      // It has its connection while no answer to another request is on its way there.
      if (res.socket === socket && (isUrgent || (requests.areFew() && turns.pass())) && answerNow(req, res)) {
        if (!hasWarned) warnOfProxy(req)
        if (socket.writableLength > 0) hold(req, res)
        else connections.used(socket) // the kernel has taken all of it
        return
      }
      const client = clients.of(req)
      const isFirst = pipelines.isIdle(socket)
      const beginHere = () => {
        // Where another protocol was asked for behind it, Node tells no waiting answer of the connection's end.
        if (socket.destroyed) return void res.destroy()
        if (isUrgent) begin()
        else turns.enter(client, beginUnlessGone(socket, begin))
      }
      connections.busy(socket)
      res.once('close', () => connections.idle(socket))
      if (!hasWarned) warnOfProxy(req)
      const refusal = requests.begin(req, res, client, isProbe)
      if (refusal) {
        // An answer to another request is on its way there.
        if (isFirst)
          turnAway(socket, { client, last: answerOf(refusal, formFor(req)), isSending: hasBody(req) })
        else socket.destroy()
        return
      }
      farewells.expectBody(req, res, client)
      if (pipelines.enter(socket, res, beginHere)) return
      isAnswered(client)
      socket.destroy()
    },

    /** The first handler: what is not admitted goes no further. */
    refuse: ((req, _res, next) => {
      if (hasTwoHosts(req)) throw TWO_HOSTS
      next()
    }) satisfies RequestHandler,

    /** Of every handshake of a WebSocket, which counts until its connection closes. */
    upgrading(req: IncomingMessage, connection: Duplex, begin: () => void): void {
      connections.busy(req.socket)
      if (!hasWarned) warnOfProxy(req)
      const client = clients.of(req)
      const refusal =
        refusalFor(sockets.shortageFor(client, 1) ?? handshakes.take(client)) ??
        (hasTwoHosts(req) ? TWO_HOSTS : undefined)
      if (refusal) {
        turnAway(connection, { client, last: answerOf(refusal), isSending: false })
        return
      }
      sockets.add(client, 1)
      connection.once('close', () => sockets.add(client, -1))
      turns.enter(client, beginUnlessGone(connection, begin))
    },

    /** Refuses such a handshake later, with that answer. */
    turnAway: (req: IncomingMessage, connection: Duplex, last: Buffer) =>
      turnAway(connection, { client: clients.of(req), last, isSending: false }),

    close: () => stopLooking(),
  }
}

/** Anything else at a probe's path is a request like others. */
const isAsPlatformsAsk = (req: IncomingMessage) =>
  (req.method === 'GET' || req.method === 'HEAD') && !hasBody(req)

const beginUnlessGone = (connection: Duplex, begin: () => void) => () => {
  if (!connection.destroyed) begin()
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
