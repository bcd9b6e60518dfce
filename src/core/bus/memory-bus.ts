// The channel layer of one process: when Redis is switched off.
import { randomUUID } from 'node:crypto'
import type { Now } from '../../lib/time.ts'
import type { Bus } from './bus.ts'
import type { LocalChannels } from './local-channel.ts'
import { createPresenceTable } from './presence-table.ts'

export interface MemoryBusOptions {
  channels: LocalChannels
  now?: Now
}

export function createMemoryBus({ channels, now = Date.now }: MemoryBusOptions): Bus {
  const table = createPresenceTable({ node: 'here', now, notify() {} })
  return {
    async publish(channel, data) {
      const { epoch, offset } = channels.open(channel).append({ id: randomUUID(), data, atMs: now() })
      return { epoch, offset }
    },
    subscribe: async (channel, subscriber, since) => channels.open(channel).subscribe(subscriber, since),
    history: async (channel) => channels.find(channel)?.history() ?? [],
    async enter(channel, member, most) {
      const presence = table.open(channel)
      if (!presence.hasRoom(member.id, most)) return undefined
      presence.enter(member)
      return presence.all()
    },
    async leave(channel, id) {
      const presence = table.open(channel)
      presence.own.delete(id)
      if (!presence.isNeeded(true)) table.forget(channel)
    },
    members: async (channel) => table.find(channel)?.all() ?? [],
    onMember() {}, // no other process can end
    reachesOthers: () => false,
  }
}
