// The channel layer of one process, where a test says who is lost and when there is a gap.
import type { Bus, Gap, Member, Subscriber } from '../../src/core/bus/bus.ts'
import { createLocalChannels } from '../../src/core/bus/local-channel.ts'
import { createMemoryBus } from '../../src/core/bus/memory-bus.ts'
import { recordLog } from './log.ts'

export interface CallBus extends Bus {
  /** As when the process that said so is gone. */
  lose(channel: string, member: Member): Promise<void>
  /** As when it was only cut off. */
  putBack(channel: string, member: Member): Promise<void>
  gap(channel: string): Promise<void>
}

export function createCallBus(): CallBus {
  const channels = createLocalChannels({ log: recordLog().log })
  channels.close() // its sweep is not what is tested
  const bus = createMemoryBus({ channels })
  const subscribers = new Map<string, Set<Subscriber>>()
  const listeners: Parameters<Bus['onMember']>[0][] = []
  return {
    ...bus,
    subscribe(channel, subscriber, since) {
      subscribers.set(channel, (subscribers.get(channel) ?? new Set()).add(subscriber))
      return bus.subscribe(channel, subscriber, since)
    },
    onMember: (listener) => void listeners.push(listener),
    async lose(channel, member) {
      await bus.leave(channel, member.id)
      for (const listener of listeners) listener(channel, 'lost', member)
    },
    async putBack(channel, member) {
      await bus.enter(channel, member, Number.POSITIVE_INFINITY)
      for (const listener of listeners) listener(channel, 'back', member)
    },
    async gap(channel) {
      const { position, close } = await bus.subscribe(channel, { message() {}, gap() {} })
      close()
      const gap: Gap = { channel, reason: 'behind', to: position }
      await Promise.all([...(subscribers.get(channel) ?? [])].map((subscriber) => subscriber.gap(gap)))
    },
  }
}
