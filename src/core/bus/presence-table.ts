// The presence table of this process: who is in each channel as far as is known here. Own members are known for
// certain, those of other processes by Redis' answers and notices, which may overtake each other.
import type { Now } from '../../lib/time.ts'
import type { Json, Member, MemberNews } from './bus.ts'
import { type Notice, PRESENCE_LEASE_MS, type PresenceReply, type RemoteMember } from './redis-presence.ts'

export interface ChannelPresence {
  readonly own: Map<string, Json>
  /** How many have asked Redis to enter, and have no answer. */
  entering: number
  /** Whether Redis may hold something else than what is here. */
  isDirty: boolean
  /** Members of other processes whose lease has not ended. */
  others(): RemoteMember[]
  all(): Member[]
  /** Own members that have left and that Redis may still hold. */
  departed(): string[]
  /** Redis knows that these have left. */
  forgetDeparted(ids: readonly string[]): void
  /** Applies an answer when it arrives: a member that another process has there is not ours any more. */
  reconcile(reply: Promise<PresenceReply>): Promise<PresenceReply>
  /** Applies a notice; true when it contradicts what is known of an own member, so that Redis should be asked. */
  apply(notice: Notice): boolean
  enter(member: Member): void
  leave(id: string): void
  /** Whether this member is in it already, or fewer than `most` others. */
  hasRoom(id: string, most: number): boolean
  /** Whether it holds something of ours, or, where somebody subscribes, others. */
  isNeeded(isSubscribed: boolean): boolean
}

export interface PresenceTable {
  find(channel: string): ChannelPresence | undefined
  open(channel: string): ChannelPresence
  all(): [string, ChannelPresence][]
  forget(channel: string): void
}

export interface PresenceTableOptions {
  /** This process. */
  node: string
  now: Now
  notify(channel: string, news: MemberNews, member: Member): void
}

export function createPresenceTable({ node, now, notify }: PresenceTableOptions): PresenceTable {
  const table = new Map<string, ChannelPresence>()
  return {
    find: (channel) => table.get(channel),
    open(channel) {
      const known = table.get(channel)
      if (known) return known
      const presence = createChannelPresence(node, now, (news, { id, info }) =>
        notify(channel, news, { id, info }),
      )
      table.set(channel, presence)
      return presence
    },
    all: () => [...table],
    forget(channel) {
      table.delete(channel)
    },
  }
}

function createChannelPresence(
  node: string,
  now: Now,
  notify: (news: MemberNews, member: RemoteMember) => void,
): ChannelPresence {
  const own = new Map<string, Json>()
  const others = new Map<string, { member: RemoteMember; untilMs: number }>() // until Redis says that they are gone
  const departed = new Map<string, number>() // by id, and when the lease has ended in any case
  const asking = new Set<Set<string>>() // for each question in flight, the members of whom a notice has come since
  let isKnown = false // Redis has answered once

  const put = (member: RemoteMember) => others.set(member.id, { member, untilMs: now() + member.restMs })

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
    departed() {
      for (const [id, untilMs] of departed) if (untilMs <= now()) departed.delete(id)
      return [...departed.keys()]
    },
    forgetDeparted(ids) {
      for (const id of ids) departed.delete(id)
    },
    async reconcile(answer) {
      const noticed = new Set<string>()
      asking.add(noticed)
      const reply = await answer.finally(() => asking.delete(noticed))
      // A notice that came while Redis was asked is newer than the answer, or is followed by one that is.
      const found = reply.members.filter((member) => member.node !== node && !noticed.has(member.id))
      const ids = new Set(found.map(({ id }) => id))
      for (const [id, { member }] of others) {
        if (ids.has(id) || noticed.has(id)) continue
        others.delete(id)
        notify('lost', member)
      }
      for (const member of found) {
        const wasHere = own.delete(member.id) || others.has(member.id)
        put(member)
        if (isKnown && !wasHere) notify('back', member)
      }
      isKnown = true
      return reply
    },
    apply({ kind, member }) {
      const { id } = member
      const isPresent = kind === 'in' || kind === 'back'
      const isOurs = member.node === node
      if (own.has(id)) return !isPresent || !isOurs
      if (isOurs) return false
      for (const noticed of asking) noticed.add(id)
      const known = others.get(id)
      if (isPresent) {
        put(member)
        if (kind === 'back' && !known) notify('back', member)
      } else if (known?.member.node === member.node) {
        others.delete(id)
        if (kind === 'lost') notify('lost', member)
      }
      return false
    },
    enter({ id, info }) {
      own.set(id, info)
      others.delete(id)
      departed.delete(id)
    },
    leave(id) {
      own.delete(id)
      departed.set(id, now() + PRESENCE_LEASE_MS)
    },
    hasRoom: (id, most) =>
      own.has(id) || own.size + present().filter((other) => other.id !== id).length < most,
    isNeeded(isSubscribed) {
      const ours = this.entering + own.size + this.departed().length + asking.size
      return ours > 0 || (isSubscribed && others.size > 0)
    },
  }
}
