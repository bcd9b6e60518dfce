// Clients for a library that has its own words for Redis, and makes as many connections as it likes.
// Like our own connection they never try again: the first that is lost ends all of them.

import { createClient } from 'redis'
import type { RedisUnavailable } from '../errors.ts'
import { type Server, settingsOf, unavailable, withinConnectTime } from '../redis/connection.ts'

function buildTextClient(server: Server) {
  return createClient({
    ...settingsOf(server),
    name: 'samovar-jobs',
    RESP: 2,
    commandOptions: { timeout: 0 },
  })
}

export type TextClient = ReturnType<typeof buildTextClient>

export interface TextClients {
  /** Connected; what the library duplicates of it belongs to these as well. */
  readonly client: TextClient
  /** Closes all of them without a word; calls under way reject. */
  destroy(): void
}

/** Rejects with RedisUnavailable. `lost` is called once, when any of the clients loses its connection. */
export async function openTextClients(
  server: Server,
  lost: (cause: RedisUnavailable) => void,
): Promise<TextClients> {
  const clients = new Set<TextClient>()
  let isOver = false

  function build(): TextClient {
    const client = buildTextClient(server)
    clients.add(client)
    client.on('error', (cause) => {
      if (isOver) return
      destroy()
      lost(unavailable(cause))
    })
    return Object.assign(client, { duplicate: build })
  }

  function destroy(): void {
    isOver = true
    for (const client of clients) if (client.isOpen) client.destroy()
  }

  const client = build()
  try {
    await withinConnectTime(client.connect().then(() => {}))
  } catch (cause) {
    destroy()
    throw unavailable(cause)
  }
  return { client, destroy }
}
