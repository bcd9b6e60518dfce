// Connections for BullMQ, which sends commands of its own and opens as many connections as it likes.
// None of them reconnects: the first that is lost closes all of them, and failover-queue.ts opens others.
import { createClient } from 'redis'
import type { RedisUnavailable } from '../errors.ts'
import { type Server, settingsOf, unavailable, withinConnectTime } from '../redis/connection.ts'

// One class for all of them, as in ../redis/connection.ts.
const createModel = () =>
  createClient({ RESP: 2, maintNotifications: 'disabled', commandOptions: { timeout: 0 } })
let model: ReturnType<typeof createModel> | undefined

function buildTextClient(server: Server) {
  model ??= createModel()
  return model.duplicate({ ...settingsOf(server), name: 'samovar-jobs' })
}

export type TextClient = ReturnType<typeof buildTextClient>

export interface TextClients {
  /** Connected; what the library duplicates of it belongs to these as well. */
  readonly client: TextClient
  /** Closes all of them and calls nobody; commands under way reject. */
  destroy(): void
}

/**
 * Rejects with the reason, as RedisUnavailable, when the first one cannot connect. Once it has resolved, `onLost` is
 * called when any of the clients loses its connection, or cannot connect: once.
 */
export async function openTextClients(
  server: Server,
  onLost: (cause: RedisUnavailable) => void,
): Promise<TextClients> {
  const clients = new Set<TextClient>()
  let isOpen = false
  let firstFailure: RedisUnavailable | undefined

  function build(): TextClient {
    const client = buildTextClient(server)
    clients.add(client)
    client.on('error', (cause) => {
      if (firstFailure) return
      firstFailure = unavailable(cause)
      destroy()
      if (isOpen) onLost(firstFailure)
    })
    return Object.assign(client, { duplicate: build })
  }

  function destroy(): void {
    firstFailure ??= unavailable(new Error('closed'))
    for (const client of clients) if (client.isOpen) client.destroy()
  }

  const client = build()
  try {
    await withinConnectTime(client.connect().then(() => {}))
  } catch (cause) {
    // `connect` rejects with what closing has made of the failure.
    const reason = firstFailure ?? unavailable(cause)
    destroy()
    throw reason
  }
  if (firstFailure) throw firstFailure
  isOpen = true
  return { client, destroy }
}
