// Who is in which channel, through outages of Redis. In Redis each member has a lease, which its process renews; the
// presence table of this process has what is known of it, for when Redis is away. Redis publishes each change; what
// was missed is found by the next renewal. When Redis returns, each process says again who is in it and who has left.
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { createParticipant, type Participant } from '../participant.ts'
import type { StateRedis } from '../state/state-role.ts'
import type { Bus } from './bus.ts'
import { createPresenceTable } from './presence-table.ts'
import type { PresenceReport, RedisPresence, RemoteMember } from './redis-presence.ts'
import type { RedisPubSub } from './redis-pubsub.ts'

const RENEW_MS = 20 * SECOND // a third of a lease

const NOBODY: PresenceReport = { own: new Map(), isWhole: false, left: [], others: [] }

export interface FailoverPresence extends Pick<Bus, 'enter' | 'leave' | 'members' | 'onMember'>, Participant {
  close(): void
}

export interface FailoverPresenceOptions {
  redis: RedisPresence
  pubSub: Pick<RedisPubSub, 'on' | 'has'>
  access: Pick<StateRedis, 'attempt'>
  /** This process. */
  node: string
  log: Log
  now: Now
}

export function createFailoverPresence(options: FailoverPresenceOptions): FailoverPresence {
  const { redis, pubSub, access, node, log, now } = options
  const listeners: Parameters<Bus['onMember']>[0][] = []
  const table = createPresenceTable({
    node,
    now,
    notify(...news) {
      for (const listener of listeners) listener(...news)
    },
  })
  const timer = setInterval(() => void inBackground(renewAll(), log), RENEW_MS).unref()

  pubSub.on({
    notice(channel, notice) {
      if (table.open(channel).apply(notice)) askSoon(channel)
    },
    ready(channels) {
      for (const channel of channels) askSoon(channel)
    },
  })

  async function renew(channel: string, others: readonly RemoteMember[]): Promise<void> {
    const presence = table.open(channel)
    const left = presence.departed()
    presence.isDirty = false
    try {
      const isWhole = presence.entering === 0
      await presence.reconcile(redis.renew(channel, { own: presence.own, isWhole, left, others }))
      presence.forgetDeparted(left)
    } catch (error) {
      presence.isDirty = true
      throw error
    }
  }

  async function renewIfKnown(channel: string): Promise<void> {
    if (!table.find(channel)) return
    await access.attempt(
      () => renew(channel, []),
      () => {},
    )
  }

  function askSoon(channel: string): void {
    void inBackground(renewIfKnown(channel), log)
  }

  async function renewAll(): Promise<void> {
    for (const [channel, presence] of table.all()) {
      if (presence.isNeeded(pubSub.has(channel))) await renewIfKnown(channel)
      else table.forget(channel)
    }
  }

  return {
    enter(channel, member, most) {
      return access.attempt(
        async () => {
          const presence = table.open(channel)
          presence.entering += 1
          try {
            const { isIn } = await presence.reconcile(redis.enter(channel, member, most))
            if (!isIn) return undefined
            presence.enter(member)
            return presence.all()
          } finally {
            presence.entering -= 1
          }
        },
        () => {
          const presence = table.open(channel)
          if (!presence.hasRoom(member.id, most)) return undefined
          presence.enter(member)
          presence.isDirty = true
          return presence.all()
        },
      )
    },
    async leave(channel, id) {
      const presence = table.open(channel)
      presence.leave(id)
      await access.attempt(
        async () => {
          await presence.reconcile(redis.renew(channel, { ...NOBODY, left: [id] }))
          presence.own.delete(id) // an answer to its coming may have been in flight
          presence.forgetDeparted([id])
        },
        () => {},
      )
    },
    members: (channel) =>
      access.attempt(
        async () => {
          const presence = table.open(channel)
          await presence.reconcile(redis.renew(channel, NOBODY))
          return presence.all()
        },
        () => table.find(channel)?.all() ?? [],
      ),
    onMember(listener) {
      listeners.push(listener)
    },

    ...createParticipant({}),
    isPending: () => table.all().some(([, presence]) => presence.isDirty || presence.departed().length > 0),
    async merge(returned) {
      // The others' processes may be away as well: their members are put back where Redis has none, as known here.
      const hasLost = returned === 'empty' || returned === 'older'
      for (const [channel, presence] of table.all()) await renew(channel, hasLost ? presence.others() : [])
    },
    close: () => clearInterval(timer),
  }
}
