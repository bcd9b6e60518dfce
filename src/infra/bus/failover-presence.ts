// Who is in which channel: in Redis under leases that this process renews for its members, and here as far as is known, for
// when Redis is away. On its return each process says again who is there and who has left.
import { type Now, SECOND } from '../../lib/time.ts'
import type { Bus } from './bus.ts'
import type { BusAccess } from './bus-access.ts'
import type { Presence, RedisBus } from './redis-bus.ts'
import { createRolls, type Roll } from './rolls.ts'

const RENEW_MS = 20 * SECOND // a third of a lease

export interface FailoverPresence extends Pick<Bus, 'enter' | 'leave' | 'members' | 'onLost'> {
  /** Whether somebody came or went whom Redis does not know of. */
  isPending(): boolean
  /** Tells Redis. Rejects with StoreUnavailable. */
  synchronize(): Promise<void>
  close(): void
}

export interface FailoverPresenceOptions {
  redis: RedisBus
  access: BusAccess
  /** This process. */
  node: string
  /** The channels that somebody here listens to: who is lost in them matters here. */
  listened: () => Iterable<string>
  now: Now
}

export function createFailoverPresence(options: FailoverPresenceOptions): FailoverPresence {
  const { redis, access, node, listened, now } = options
  const rolls = createRolls({ node, now })
  const listeners: ((channel: string, id: string) => void)[] = []
  const timer = setInterval(() => void tick(), RENEW_MS).unref()

  function learn(channel: string, { members, lost }: Presence): Roll {
    const roll = rolls.open(channel)
    roll.learn(members)
    for (const id of lost) for (const listener of listeners) listener(channel, id)
    return roll
  }

  async function renew(channel: string, isReturn: boolean): Promise<void> {
    const roll = rolls.open(channel)
    const left = [...roll.left]
    roll.isDirty = false
    try {
      const others = isReturn ? roll.others() : []
      learn(channel, await redis.renew(channel, { own: roll.own, left, others }))
      for (const id of left) roll.left.delete(id)
      rolls.forget(channel)
    } catch (error) {
      roll.isDirty = true
      throw error
    }
  }

  async function tick(): Promise<void> {
    const channels = new Set([...rolls.all()].map(([channel]) => channel).concat([...listened()]))
    for (const channel of channels) {
      if (!access.isRedis()) return
      await access.ask(
        () => renew(channel, false),
        () => {},
      )
    }
  }

  return {
    enter(channel, member, most) {
      return access.ask(
        async () => {
          const presence = await redis.enter(channel, member, most)
          const roll = learn(channel, presence)
          if (!presence.isIn) return undefined
          roll.enter(member)
          return roll.all()
        },
        () => {
          const roll = rolls.open(channel)
          if (!roll.hasPlace(member.id, most)) return undefined
          roll.enter(member)
          roll.isDirty = true
          return roll.all()
        },
      )
    },
    async leave(channel, id) {
      rolls.open(channel).leave(id)
      await access.ask(
        async () => {
          learn(channel, await redis.renew(channel, { own: new Map(), left: [id], others: [] }))
          const roll = rolls.open(channel)
          roll.own.delete(id) // an answer to its coming may have been under way
          roll.left.delete(id)
          rolls.forget(channel)
        },
        () => {},
      )
    },
    members: (channel) =>
      access.ask(
        async () =>
          learn(channel, await redis.renew(channel, { own: new Map(), left: [], others: [] })).all(),
        () => rolls.find(channel)?.all() ?? [],
      ),
    onLost: (listener) => void listeners.push(listener),
    isPending: () => [...rolls.all()].some(([, roll]) => roll.isDirty || roll.left.size > 0),
    async synchronize() {
      for (const [channel] of [...rolls.all()]) await renew(channel, true)
    },
    close: () => clearInterval(timer),
  }
}
