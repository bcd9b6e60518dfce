// Calls behind real HTTP, over any channel layer, where the header x-test-user says who is logged in.

import type { Bus } from '../../src/core/bus/bus.ts'
import { callRoutes } from '../../src/features/calls/call-routes.ts'
import { createRooms } from '../../src/features/calls/room.ts'
import { capacityOf } from '../../src/features/calls/room-name.ts'
import { createSocketServer } from '../../src/features/calls/socket-server.ts'
import { createHttpServer } from '../../src/http/server.ts'
import { createSockets } from '../../src/http/sockets/sockets.ts'
import type { Now, StartTimer } from '../../src/lib/time.ts'
import { createCallBus } from './call-bus.ts'
import { freePort } from './free-port.ts'
import { recordLog } from './log.ts'

export const CALL_SECRETS = ['a secret of the tests of calls']

export interface CallsAppOptions {
  bus?: Bus
  mostSockets?: number
  now?: Now
  startTimer?: StartTimer
  port?: number
}

export async function startCalls({
  bus = createCallBus(),
  mostSockets = 1_000,
  now,
  startTimer,
  port,
}: CallsAppOptions = {}) {
  const { log, lines } = recordLog()
  const injected = { ...(now && { now }), ...(startTimer && { startTimer }) }
  const rooms = createRooms({ bus, capacityOf, ...injected })
  const userName = (req: { headers: NodeJS.Dict<string | string[]> }) =>
    req.headers['x-test-user'] as string | undefined
  const loggedOut = new Set<string>()
  const sockets = createSocketServer({
    rooms,
    secrets: CALL_SECRETS,
    iceServers: [{ urls: 'stun:stun.example.org' }],
    mostSockets,
    userName,
    expectKnown: async () => {},
    addressOf: (req) => req.ip,
    socket: (options) =>
      createSockets({
        callerOf: () => undefined as never,
        clientOf: (req) => req.ip,
        hasLoggedOut: async (req) => loggedOut.has(userName(req) ?? ''),
        bus,
        log,
        ...injected,
        ...options,
      }),
    log,
    ...injected,
  })
  const server = createHttpServer({
    rawRouters: [],
    routers: [
      callRoutes({
        secrets: CALL_SECRETS,
        hasLogin: false,
        hasRedis: true,
        userName,
        expectKnown: async () => {},
        limitMade: (_req, _res, next) => next(),
      }),
    ],
    upgrades: [{ handlers: [], ...sockets }],
    trustProxy: 1,
    log,
  })
  const listening = await server.listen(port ?? (await freePort()))
  return {
    url: `http://127.0.0.1:${listening}`,
    port: listening,
    lines,
    rooms,
    sockets,
    loggedOut,
    close: () => server.close(),
  }
}

export type CallsApp = Awaited<ReturnType<typeof startCalls>>
