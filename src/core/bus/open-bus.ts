// The channel layer, opened: over the state role's Redis, or in memory where that is switched off.
import { randomUUID } from 'node:crypto'
import type { RedisTarget } from '../../lib/redis-url.ts'
import { createScope } from '../../lib/scope.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Participant } from '../participant.ts'
import { connectRedis } from '../redis/connection.ts'
import type { StateRedis } from '../state/state-role.ts'
import type { Bus } from './bus.ts'
import { createBusAccess } from './bus-access.ts'
import { createLine } from './channel.ts'
import { createLines } from './channels.ts'
import { createFailoverBus } from './failover-bus.ts'
import { createFailoverPresence, type FailoverPresence } from './failover-presence.ts'
import { createMemoryBus } from './memory-bus.ts'
import { createRedisBus } from './redis-bus.ts'
import { createRedisDeliveries } from './redis-deliveries.ts'

export interface BusRole {
  readonly bus: Bus
  /** What takes part in the merges of the state role. */
  readonly participants: readonly Participant[]
  close(): Promise<void>
}

export interface BusRoleOptions {
  /** The state role's; undefined: switched off. */
  redis: StateRedis | undefined
  target: RedisTarget | undefined
  ca: string | undefined
  budgetMs: number
  prefix: string
  /** Whether the server is somebody else's, where each command may cost. */
  isExternal: boolean
  log: Log
  now?: Now
  parts?: BusParts
}

/** What the layer is made of, where it can be broken: the model-based test plants its bugs here. */
export interface BusParts {
  readonly createLine: typeof createLine
  readonly createRedisBus: typeof createRedisBus
}

const BEAT_MS = { own: 2 * SECOND, rented: 15 * SECOND }

export function openBus({
  redis,
  target,
  ca,
  budgetMs,
  prefix,
  isExternal,
  log,
  now = Date.now,
  parts = { createLine, createRedisBus },
}: BusRoleOptions): BusRole {
  const scope = createScope()
  const lines = scope.add(createLines({ createLine: parts.createLine, log, now }))
  if (!redis || !target) {
    return { bus: createMemoryBus({ lines, now }), participants: [], close: scope.close }
  }

  const node = randomUUID()
  const wireName = (channel: string) => `${prefix}${target.database}:{${channel}}`
  const redisBus = parts.createRedisBus({ call: redis.call, prefix, wireName, node })
  const access = createBusAccess({ redis, log })
  const presence: FailoverPresence = scope.add(
    createFailoverPresence({
      redis: redisBus,
      access,
      node,
      isListened: (channel): boolean => bus.isListened(channel),
      now,
    }),
  )
  const bus = scope.add(
    createFailoverBus({
      lines,
      redis: redisBus,
      access,
      presence,
      createDeliveries: (events) =>
        createRedisDeliveries({
          connection: connectRedis({ target, ca, budgetMs, trackPrefix: undefined }),
          wireName,
          beatMs: isExternal ? BEAT_MS.rented : BEAT_MS.own,
          ...events,
          log,
        }),
      now,
    }),
  )
  return { bus, participants: [bus], close: scope.close }
}
