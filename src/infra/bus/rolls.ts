// Who is in each channel, as far as this process knows: its own members, and what it last heard of others' leases.
import type { Now } from '../../lib/time.ts'
import type { Json, Member } from './bus.ts'
import type { RemoteMember } from './redis-bus.ts'

export interface Roll {
  readonly own: Map<string, Json>
  /** Members of ours that have left and of which Redis may not know. */
  readonly left: Set<string>
  /** How many have asked Redis to be let in, and have no answer. */
  entering: number
  /** Whether Redis may not know what is in it now. */
  isDirty: boolean
  /** The others whose lease has not ended. */
  others(): RemoteMember[]
  all(): Member[]
  /** What Redis holds: who is another process' member there is not ours any more. */
  learn(members: readonly RemoteMember[]): void
  enter(member: Member): void
  leave(id: string): void
  /** Whether this member, or fewer than `most` others, are there. */
  hasPlace(id: string, most: number): boolean
  isEmpty(): boolean
}

export interface Rolls {
  find(channel: string): Roll | undefined
  open(channel: string): Roll
  all(): Iterable<[string, Roll]>
  /** If nobody is in it. */
  forget(channel: string): void
}

export function createRolls(options: { node: string; now: Now }): Rolls {
  const rolls = new Map<string, Roll>()
  return {
    find: (channel) => rolls.get(channel),
    open(channel) {
      const roll = rolls.get(channel) ?? createRoll(options)
      rolls.set(channel, roll)
      return roll
    },
    all: () => rolls.entries(),
    forget(channel) {
      if (rolls.get(channel)?.isEmpty()) rolls.delete(channel)
    },
  }
}

function createRoll({ node, now }: { node: string; now: Now }): Roll {
  const own = new Map<string, Json>()
  const left = new Set<string>()
  let heard: { member: RemoteMember; untilMs: number }[] = []

  const others = () =>
    heard
      .filter(({ member, untilMs }) => untilMs > now() && !own.has(member.id))
      .map(({ member, untilMs }) => ({ ...member, restMs: untilMs - now() }))

  return {
    own,
    left,
    entering: 0,
    isDirty: false,
    others,
    all: () => [
      ...[...own].map(([id, info]) => ({ id, info })),
      ...others().map(({ id, info }) => ({ id, info })),
    ],
    learn(members) {
      heard = members
        .filter((member) => member.node !== node)
        .map((member) => ({ member, untilMs: now() + member.restMs }))
      for (const { member } of heard) own.delete(member.id)
    },
    enter({ id, info }) {
      own.set(id, info)
      left.delete(id)
    },
    leave(id) {
      own.delete(id)
      left.add(id)
    },
    hasPlace: (id, most) =>
      own.has(id) || own.size + others().filter((other) => other.id !== id).length < most,
    isEmpty() {
      return this.entering === 0 && own.size === 0 && left.size === 0 && others().length === 0
    },
  }
}
