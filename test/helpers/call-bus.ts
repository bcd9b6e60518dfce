// The channel layer of one process, where a test says who is lost and when there is a gap.
import type { Bus, Gap, Subscriber } from '../../src/infra/bus/bus.ts'
import { createLine } from '../../src/infra/bus/line.ts'
import { createLines } from '../../src/infra/bus/lines.ts'
import { createMemoryBus } from '../../src/infra/bus/memory-bus.ts'
import { recordLog } from './log.ts'

export interface CallBus extends Bus {
  /** As when the process that said so is gone. */
  lose(channel: string, id: string): Promise<void>
  gap(channel: string): Promise<void>
}

export function createCallBus(): CallBus {
  const lines = createLines({ createLine, log: recordLog().log })
  lines.close() // its sweep is not what is tested
  const bus = createMemoryBus({ lines })
  const subscribers = new Map<string, Set<Subscriber>>()
  const lostListeners: ((channel: string, id: string) => void)[] = []
  return {
    ...bus,
    subscribe(channel, subscriber, since) {
      subscribers.set(channel, (subscribers.get(channel) ?? new Set()).add(subscriber))
      return bus.subscribe(channel, subscriber, since)
    },
    onLost: (listener) => void lostListeners.push(listener),
    async lose(channel, id) {
      await bus.leave(channel, id)
      for (const listener of lostListeners) listener(channel, id)
    },
    async gap(channel) {
      const { position, close } = await bus.subscribe(channel, { message() {}, gap() {} })
      close()
      const gap: Gap = { channel, reason: 'behind', to: position }
      await Promise.all([...(subscribers.get(channel) ?? [])].map((subscriber) => subscriber.gap(gap)))
    },
  }
}
