// A channel layer for tests of what stands on it: everything in this process, every message kept.
import { randomUUID } from 'node:crypto'
import type { Bus, BusMessage, Member, Subscriber } from '../../src/infra/bus/bus.ts'

export interface SmallBus extends Bus {
  /** As when the process that said so is gone. */
  lose(channel: string, id: string): void
  gap(channel: string): void
}

export function createSmallBus(): SmallBus {
  const epoch = randomUUID()
  const logs = new Map<string, BusMessage[]>()
  const subscribers = new Map<string, Set<Subscriber>>()
  const members = new Map<string, Map<string, Member>>()
  const lostListeners: ((channel: string, id: string) => void)[] = []
  const logOf = (channel: string) => logs.get(channel) ?? logs.set(channel, []).get(channel)!
  const membersOf = (channel: string) => members.get(channel) ?? members.set(channel, new Map()).get(channel)!
  return {
    async publish(channel, data) {
      const log = logOf(channel)
      const message = { channel, id: randomUUID(), data, atMs: Date.now(), epoch, offset: log.length + 1 }
      log.push(message)
      for (const subscriber of subscribers.get(channel) ?? []) void subscriber.message(message)
      return { epoch, offset: message.offset }
    },
    async subscribe(channel, subscriber, since) {
      const log = logOf(channel)
      const all = subscribers.get(channel) ?? new Set()
      subscribers.set(channel, all.add(subscriber))
      const recovered = since === undefined || since.epoch === epoch
      return {
        position: { epoch, offset: log.length },
        recovered,
        missed: since && recovered ? log.slice(since.offset) : [],
        close: () => void all.delete(subscriber),
      }
    },
    history: async (channel) => logOf(channel).slice(-200),
    async enter(channel, member, most) {
      const there = membersOf(channel)
      if ([...there.keys()].filter((id) => id !== member.id).length >= most) return undefined
      there.set(member.id, member)
      return [...there.values()]
    },
    async leave(channel, id) {
      membersOf(channel).delete(id)
    },
    members: async (channel) => [...membersOf(channel).values()],
    onLost: (listener) => void lostListeners.push(listener),
    lose(channel, id) {
      membersOf(channel).delete(id)
      for (const listener of lostListeners) listener(channel, id)
    },
    gap(channel) {
      const to = { epoch, offset: logOf(channel).length }
      for (const subscriber of subscribers.get(channel) ?? [])
        subscriber.gap({ channel, reason: 'behind', to })
    },
  }
}
