// Who is in which channel: in Redis under leases that this process renews for its members, and here as far as is known, for
// when Redis is away. On its return each process says again who is there and who has left.
import { type Now, SECOND } from '../../lib/time.ts'
import type { Bus } from './bus.ts'
import type { BusAccess } from './bus-access.ts'
import type { Presence, RedisBus, RemoteMember, Report } from './redis-bus.ts'
import { createRolls, type Roll } from './rolls.ts'

const RENEW_MS = 20 * SECOND // a third of a lease

const NOBODY: Report = { own: new Map(), isWhole: false, left: [], others: [] }

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
  let life: string | undefined // that Redis was in when it was last told everything
  const timer = setInterval(() => void tick(), RENEW_MS).unref()

  function learn(channel: string, { members, lost }: Presence): Roll {
    const roll = rolls.open(channel)
    roll.learn(members)
    for (const id of lost) for (const listener of listeners) listener(channel, id)
    return roll
  }

  async function renew(channel: string, others: readonly RemoteMember[]): Promise<void> {
    const roll = rolls.open(channel)
    const left = [...roll.left]
    roll.isDirty = false
    try {
      const isWhole = roll.entering === 0
      learn(channel, await redis.renew(channel, { own: roll.own, isWhole, left, others }))
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
        () => renew(channel, []),
        () => {},
      )
    }
  }

  return {
    enter(channel, member, most) {
      return access.ask(
        async () => {
          const entered = rolls.open(channel)
          entered.entering += 1
          const presence = await redis.enter(channel, member, most).finally(() => {
            entered.entering -= 1
          })
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
          learn(channel, await redis.renew(channel, { ...NOBODY, left: [id] }))
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
        async () => learn(channel, await redis.renew(channel, NOBODY)).all(),
        () => rolls.find(channel)?.all() ?? [],
      ),
    onLost: (listener) => void listeners.push(listener),
    isPending: () => [...rolls.all()].some(([, roll]) => roll.isDirty || roll.left.size > 0),
    async synchronize() {
      const found = await redis.life()
      const isLost = life !== undefined && life !== found
      for (const [channel, roll] of [...rolls.all()]) await renew(channel, isLost ? roll.others() : [])
      life = found
    },
    close: () => clearInterval(timer),
  }
}
