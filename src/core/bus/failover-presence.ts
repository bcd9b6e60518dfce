// Who is in which channel: in Redis under leases that this process renews for its members, and here as far as is known, for
// when Redis is away. Redis tells of each change whoever listens to the channel; what was missed, the next renewal finds. On
// Redis' return each process says again who is there and who has left.
import { type Now, SECOND } from '../../lib/time.ts'
import type { Bus } from './bus.ts'
import type { BusAccess } from './bus-access.ts'
import { createRolls } from './presence-table.ts'
import type { Notice, RedisBus, RemoteMember, Report } from './redis-bus.ts'

const RENEW_MS = 20 * SECOND // a third of a lease

const NOBODY: Report = { own: new Map(), isWhole: false, left: [], others: [] }

export interface FailoverPresence extends Pick<Bus, 'enter' | 'leave' | 'members' | 'onMember'> {
  /** What Redis told who listens to the channel. */
  hear(channel: string, notice: Notice): void
  /** Asks Redis what it may have told when nobody listened here. */
  catchUp(channel: string): Promise<void>
  /** Whether somebody came or went whom Redis does not know of. */
  isPending(): boolean
  /** Tells Redis. Rejects with RedisUnavailable. */
  synchronize(): Promise<void>
  close(): void
}

export interface FailoverPresenceOptions {
  redis: RedisBus
  access: BusAccess
  /** This process. */
  node: string
  /** Whether somebody here listens to the channel: who is lost in it matters here. */
  isListened: (channel: string) => boolean
  now: Now
}

export function createFailoverPresence(options: FailoverPresenceOptions): FailoverPresence {
  const { redis, access, node, isListened, now } = options
  const listeners: Parameters<Bus['onMember']>[0][] = []
  const rolls = createRolls({
    node,
    now,
    tell(...news) {
      for (const listener of listeners) listener(...news)
    },
  })
  let life: string | undefined // that Redis was in when it was last told everything
  const timer = setInterval(() => void tick(), RENEW_MS).unref()

  async function renew(channel: string, others: readonly RemoteMember[]): Promise<void> {
    const roll = rolls.open(channel)
    const left = roll.left()
    roll.isDirty = false
    try {
      const isWhole = roll.entering === 0
      await roll.learn(redis.renew(channel, { own: roll.own, isWhole, left, others }))
      roll.haveLeft(left)
    } catch (error) {
      roll.isDirty = true
      throw error
    }
  }

  async function catchUp(channel: string): Promise<void> {
    if (!rolls.find(channel)) return
    await access.ask(
      () => renew(channel, []),
      () => {},
    )
  }

  async function tick(): Promise<void> {
    for (const [channel, roll] of rolls.all()) {
      if (roll.isNeeded(isListened(channel))) await catchUp(channel)
      else rolls.forget(channel)
    }
  }

  return {
    enter(channel, member, most) {
      return access.ask(
        async () => {
          const roll = rolls.open(channel)
          roll.entering += 1
          try {
            const { isIn } = await roll.learn(redis.enter(channel, member, most))
            if (!isIn) return undefined
            roll.enter(member)
            return roll.all()
          } finally {
            roll.entering -= 1
          }
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
      const roll = rolls.open(channel)
      roll.leave(id)
      await access.ask(
        async () => {
          await roll.learn(redis.renew(channel, { ...NOBODY, left: [id] }))
          roll.own.delete(id) // an answer to its coming may have been under way
          roll.haveLeft([id])
        },
        () => {},
      )
    },
    members: (channel) =>
      access.ask(
        async () => {
          const roll = rolls.open(channel)
          await roll.learn(redis.renew(channel, NOBODY))
          return roll.all()
        },
        () => rolls.find(channel)?.all() ?? [],
      ),
    onMember: (listener) => void listeners.push(listener),
    hear(channel, notice) {
      if (rolls.open(channel).hear(notice)) void catchUp(channel)
    },
    catchUp,
    isPending: () => rolls.all().some(([, roll]) => roll.isDirty || roll.left().length > 0),
    async synchronize() {
      const found = await redis.life()
      const isLost = life !== undefined && life !== found
      for (const [channel, roll] of rolls.all()) await renew(channel, isLost ? roll.others() : [])
      life = found
    },
    close: () => clearInterval(timer),
  }
}
