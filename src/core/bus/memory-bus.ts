// The channel layer of one process: what there is when Redis is switched off.
import { randomUUID } from 'node:crypto'
import type { Now } from '../../lib/time.ts'
import type { Bus } from './bus.ts'
import type { Lines } from './channels.ts'
import { createRolls } from './presence-table.ts'

export interface MemoryBusOptions {
  lines: Lines
  now?: Now
}

export function createMemoryBus({ lines, now = Date.now }: MemoryBusOptions): Bus {
  const rolls = createRolls({ node: 'here', now, tell() {} })
  return {
    async publish(channel, data) {
      const { epoch, offset } = lines.open(channel).append({ id: randomUUID(), data, atMs: now() })
      return { epoch, offset }
    },
    subscribe: async (channel, subscriber, since) => lines.open(channel).subscribe(subscriber, since),
    history: async (channel) => lines.find(channel)?.history() ?? [],
    async enter(channel, member, most) {
      const roll = rolls.open(channel)
      if (!roll.hasPlace(member.id, most)) return undefined
      roll.enter(member)
      return roll.all()
    },
    async leave(channel, id) {
      const roll = rolls.open(channel)
      roll.own.delete(id)
      if (!roll.isNeeded(true)) rolls.forget(channel)
    },
    members: async (channel) => rolls.find(channel)?.all() ?? [],
    onMember() {}, // nobody's process can end but this one
  }
}
