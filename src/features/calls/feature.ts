// Calls from browser to browser: pages, links for guests, and the socket that signals.
import { defineFeature, type Rule } from '../../feature.ts'
import { HOUR } from '../../lib/time.ts'
import { integer, parsedBy } from '../../variables.ts'
import { callRoutes } from './call-routes.ts'
import { type IceServer, parseIceServers } from './ice-servers.ts'
import { createRooms } from './room.ts'
import { capacityOf } from './room-name.ts'
import { createSocketServer } from './socket-server.ts'

/** Links of calls, each of which lets people in for a day. */
export const callRules = [
  { name: 'calls', per: 'client', limit: 60, windowMs: HOUR, sharedLimit: 600 },
] as const satisfies readonly Rule[]

export interface CallsParts {
  /** Whether there is a way to log in; without one everybody may make a link. */
  hasLogin: boolean
}

export const calls = defineFeature({
  name: 'calls',
  about: { en: 'calls from browser to browser at `/call`', ru: 'звонки из браузера в браузер на `/call`' },
  variables: {
    ICE_SERVERS: {
      schema: parsedBy<readonly IceServer[]>(parseIceServers).default([]),
      example: '[{"urls":"stun:stun.example.org:3478"}]',
      en:
        'STUN and TURN servers for [calls](docs/features/calls.md#ice-servers): a JSON array, as ' +
        '`RTCConfiguration.iceServers`. Without them browsers find one another in one network, and ' +
        'often across two',
      ru:
        'серверы STUN и TURN для [звонков](docs/ru/features/calls.md#stun-и-turn): массив JSON, как ' +
        '`RTCConfiguration.iceServers`. Без них браузеры находят друг друга в одной сети, а между ' +
        'двумя — не всегда',
      isSecret: true,
    },
    CALL_SOCKETS: {
      schema: integer(1, 50_000).default(1_000),
      en: 'how many sockets of calls one process serves; more are refused with 503',
      ru: 'сколько сокетов звонков обслуживает один процесс; остальным ответ 503',
    },
  },
  navigation: [{ path: '/call', en: 'Calls', ru: 'Звонки' }],
  setup(
    { config, bus, secrets, user, expectKnown, addressOf, limitBy, mode, socket, log },
    { hasLogin }: CallsParts,
  ) {
    const userName = async (req: Parameters<typeof user>[0]) => (await user(req))?.name
    return {
      routes: callRoutes({
        secrets,
        hasLogin,
        hasRedis: mode !== 'memory',
        userName,
        expectKnown,
        limitMade: limitBy(callRules),
      }),
      ownLimits: ['/api/calls'],
      sockets: [
        createSocketServer({
          rooms: createRooms({ bus, capacityOf }),
          secrets,
          iceServers: config.ICE_SERVERS,
          mostSockets: config.CALL_SOCKETS,
          userName,
          expectKnown,
          addressOf,
          socket,
          log,
        }),
      ],
    }
  },
})
