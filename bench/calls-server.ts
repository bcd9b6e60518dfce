// Samovar's socket as a process of its own: the app's rooms and sockets over the app's channel layer, with room for
// ten. With REDIS_CACHE and REDIS_STATE over those servers, else in memory.
import { createRooms } from '../src/features/calls/room.ts'
import { createSocketServer } from '../src/features/calls/socket-server.ts'
import { createHttpServer } from '../src/http/server.ts'
import { createSockets } from '../src/http/sockets/sockets.ts'
import { openAppRoles, silent } from './open-app-roles.ts'
import { answerMemory } from './own-memory.ts'

const { PORT, REDIS_CACHE, REDIS_STATE } = process.env
const { bus } = await openAppRoles(
  REDIS_CACHE && REDIS_STATE ? { cache: REDIS_CACHE, state: REDIS_STATE } : undefined,
)
const sockets = createSocketServer({
  rooms: createRooms({ bus, capacityOf: () => 10 }),
  secrets: ['a secret of the benchmark'],
  iceServers: [],
  mostSockets: 2_000,
  userName: () => 'bench',
  expectKnown: async () => {},
  addressOf: () => undefined,
  socket: (options) =>
    createSockets({
      callerOf: () => undefined as never,
      clientOf: () => undefined,
      hasLoggedOut: async () => false,
      bus,
      log: silent,
      ...options,
    }),
  log: silent,
})
const server = createHttpServer({
  rawRouters: [],
  routers: [],
  upgrades: [{ handlers: [], ...sockets }],
  trustProxy: 0,
  log: silent,
})
await server.listen(Number(PORT))
answerMemory()
process.send?.('ready')
