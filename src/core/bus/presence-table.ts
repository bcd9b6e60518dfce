// Who is in each channel, as far as this process knows: its own members, and the others' by what Redis answers and tells.
import type { Now } from '../../lib/time.ts'
import type { Json, Member, MemberNews } from './bus.ts'
import { LEASE_MS, type Notice, type Presence, type RemoteMember } from './redis-bus.ts'

export interface Roll {
  readonly own: Map<string, Json>
  /** How many have asked Redis to be let in, and have no answer. */
  entering: number
  /** Whether Redis may not know what is in it now. */
  isDirty: boolean
  /** The others whose lease has not ended. */
  others(): RemoteMember[]
  all(): Member[]
  /** Members of ours that have left and that Redis may hold. */
  left(): string[]
  /** Takes over what Redis answers, when it does: who is another process' member there is not ours any more. */
  learn(answer: Promise<Presence>): Promise<Presence>
  /** Takes over what Redis tells; true when it takes a member of ours from us, so that Redis should be asked. */
  hear(notice: Notice): boolean
  enter(member: Member): void
  leave(id: string): void
  /** Redis knows that these have left. */
  haveLeft(ids: readonly string[]): void
  /** Whether this member, or fewer than `most` others, are there. */
  hasPlace(id: string, most: number): boolean
  /** Whether something of ours is in it, or, where somebody listens, others. */
  isNeeded(isListened: boolean): boolean
}

export interface Rolls {
  find(channel: string): Roll | undefined
  open(channel: string): Roll
  all(): [string, Roll][]
  forget(channel: string): void
}

export interface RollsOptions {
  /** This process. */
  node: string
  now: Now
  tell(channel: string, news: MemberNews, member: Member): void
}

export function createRolls({ node, now, tell }: RollsOptions): Rolls {
  const rolls = new Map<string, Roll>()
  return {
    find: (channel) => rolls.get(channel),
    open(channel) {
      const known = rolls.get(channel)
      if (known) return known
      const roll = createRoll(node, now, (news, { id, info }) => tell(channel, news, { id, info }))
      rolls.set(channel, roll)
      return roll
    },
    all: () => [...rolls],
    forget: (channel) => void rolls.delete(channel),
  }
}

function createRoll(node: string, now: Now, tell: (news: MemberNews, member: RemoteMember) => void): Roll {
  const own = new Map<string, Json>()
  const others = new Map<string, { member: RemoteMember; untilMs: number }>() // until Redis says that they are gone
  const left = new Map<string, number>() // and when their lease has ended in any case
  const questions = new Set<Set<string>>() // to Redis, and of whom it has told since each was asked
  let isLearned = false

  const put = (member: RemoteMember) => void others.set(member.id, { member, untilMs: now() + member.restMs })

  const present = () =>
    [...others.values()]
      .filter(({ untilMs }) => untilMs > now())
      .map(({ member, untilMs }) => ({ ...member, restMs: untilMs - now() }))

  return {
    own,
    entering: 0,
    isDirty: false,
    others: present,
    all: () => [
      ...[...own].map(([id, info]) => ({ id, info })),
      ...present().map(({ id, info }) => ({ id, info })),
    ],
    left() {
      for (const [id, untilMs] of left) if (untilMs <= now()) left.delete(id)
      return [...left.keys()]
    },
    async learn(answer) {
      const told = new Set<string>()
      questions.add(told)
      const presence = await answer.finally(() => questions.delete(told))
      // What was told meanwhile is newer than the answer, or is followed by what is.
      const found = presence.members.filter((member) => member.node !== node && !told.has(member.id))
      const ids = new Set(found.map(({ id }) => id))
      for (const [id, { member }] of others) {
        if (ids.has(id) || told.has(id)) continue
        others.delete(id)
        tell('lost', member)
      }
      for (const member of found) {
        const isKnown = own.delete(member.id) || others.has(member.id)
        put(member)
        if (isLearned && !isKnown) tell('back', member)
      }
      isLearned = true
      return presence
    },
    hear({ kind, member }) {
      const { id } = member
      const isThere = kind === 'in' || kind === 'back'
      const isOurs = member.node === node
      if (own.has(id)) return !isThere || !isOurs
      if (isOurs) return false
      for (const told of questions) told.add(id)
      const known = others.get(id)
      if (isThere) {
        put(member)
        if (kind === 'back' && !known) tell('back', member)
      } else if (known?.member.node === member.node) {
        others.delete(id)
        if (kind === 'lost') tell('lost', member)
      }
      return false
    },
    enter({ id, info }) {
      own.set(id, info)
      others.delete(id)
      left.delete(id)
    },
    leave(id) {
      own.delete(id)
      left.set(id, now() + LEASE_MS)
    },
    haveLeft(ids) {
      for (const id of ids) left.delete(id)
    },
    hasPlace: (id, most) =>
      own.has(id) || own.size + present().filter((other) => other.id !== id).length < most,
    isNeeded(isListened) {
      const ours = this.entering + own.size + this.left().length + questions.size
      return ours > 0 || (isListened && others.size > 0)
    },
  }
}
