// The channel layer, opened: over the state role's Redis, or in memory where Redis is switched off.
import { randomUUID } from 'node:crypto'
import type { RedisTarget } from '../../lib/redis-url.ts'
import { createScope } from '../../lib/scope.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { RedisUnavailable } from '../errors.ts'
import type { Participant } from '../participant.ts'
import { connectRedis } from '../redis/connection.ts'
import type { StateRedis } from '../state/state-role.ts'
import type { Bus } from './bus.ts'
import { createFailoverBus } from './failover-bus.ts'
import { createFailoverPresence } from './failover-presence.ts'
import { createLocalChannel, createLocalChannels } from './local-channel.ts'
import { createMemoryBus } from './memory-bus.ts'
import { createRedisBus, type KeyTrouble } from './redis-bus.ts'
import { createRedisPubSub } from './redis-pubsub.ts'

export interface BusRole {
  readonly bus: Bus
  /** What takes part in the merges of the state role: messages, and presence. */
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
  readonly createLocalChannel: typeof createLocalChannel
  readonly createRedisBus: typeof createRedisBus
}

const HEARTBEAT_MS = { embedded: 2 * SECOND, external: 15 * SECOND }

export function openBus({
  redis,
  target,
  ca,
  budgetMs,
  prefix,
  isExternal,
  log,
  now = Date.now,
  parts = { createLocalChannel, createRedisBus },
}: BusRoleOptions): BusRole {
  const scope = createScope()
  const channels = scope.add(createLocalChannels({ create: parts.createLocalChannel, log, now }))
  if (!redis || !target) {
    return { bus: createMemoryBus({ channels, now }), participants: [], close: scope.close }
  }

  const node = randomUUID()
  const wireName = (channel: string) => `${prefix}${target.database}:{${channel}}`
  const trouble = createTroubleLog(log)
  const access = createAccess(redis, log)
  const redisBus = parts.createRedisBus({ call: redis.call, prefix, wireName, node, trouble })
  const pubSub = scope.add(
    createRedisPubSub({
      connection: connectRedis({ target, ca, budgetMs, trackPrefix: undefined }),
      wireName,
      heartbeatMs: isExternal ? HEARTBEAT_MS.external : HEARTBEAT_MS.embedded,
      trouble,
      log,
    }),
  )
  const presence = scope.add(createFailoverPresence({ redis: redisBus, pubSub, access, node, log, now }))
  const messages = scope.add(createFailoverBus({ channels, redis: redisBus, pubSub, access, log, now }))
  const { publish, subscribe, history, reachesOthers } = messages
  const { enter, leave, members, onMember } = presence
  return {
    bus: { publish, subscribe, history, enter, leave, members, onMember, reachesOthers },
    participants: [access.guard(messages), access.guard(presence)],
    close: scope.close,
  }
}

const FORBIDDEN = /^NOPERM|can't run this command|ACL failure|unknown (redis )?command/i
const NOT_ALLOWED = Symbol('not allowed')

/**
 * The state role's Redis, for this layer. A user of Redis who may not do what the layer needs (no pub/sub, say) is no
 * outage of the role: the layer alone works in memory, until Redis returns, as its rules may be others then.
 */
function createAccess(redis: StateRedis, log: Log) {
  let isForbidden = false

  async function allowed<T>(onRedis: () => Promise<T>): Promise<T | typeof NOT_ALLOWED> {
    try {
      return await onRedis()
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || !FORBIDDEN.test(error.message)) throw error
      if (!isForbidden)
        log.error(
          `channel layer: in memory, because this user of Redis may not use it: ${error.message}. ` +
            'Processes do not get each other’s messages until the user may use pub/sub and TIME (docs/deploying.md)',
        )
      isForbidden = true
      return NOT_ALLOWED
    }
  }

  return {
    async attempt<T>(onRedis: () => Promise<T>, onMemory: () => T | Promise<T>): Promise<T> {
      if (isForbidden) return onMemory()
      const answer = await redis.attempt(() => allowed(onRedis), onMemory)
      return answer === NOT_ALLOWED ? onMemory() : answer
    },
    isRedis: () => !isForbidden && redis.isRedis(),
    /** A participant that is merged only while it is allowed. */
    guard: (participant: Participant): Participant => ({
      ...participant,
      isPending: () => !isForbidden && participant.isPending(),
      async merge(returned) {
        if (!isForbidden) await allowed(() => participant.merge(returned))
      },
      returned() {
        isForbidden = false
        participant.returned()
      },
    }),
  }
}

const MOST_NAMED = 100 // keys that have a line in the log

const SENTENCES: Record<KeyTrouble, string> = {
  foreign: 'a key of ours held a value of another type, and was deleted',
  unreadable: 'something in Redis cannot be read, and is ignored',
}

/** Counts what in Redis is not ours, and says so once a key. */
function createTroubleLog(log: Log) {
  const named = new Set<string>()
  let count = 0
  return (key: string, trouble: KeyTrouble): void => {
    count += 1
    if (named.has(key) || named.size === MOST_NAMED) return
    named.add(key)
    log.error(
      { key, trouble, count },
      `channel layer: ${SENTENCES[trouble]}. Subscribers may get a gap; ` +
        'make sure that nobody else, and no other version, writes under this prefix',
    )
  }
}
