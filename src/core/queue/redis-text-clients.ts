// Connections for BullMQ, which sends commands of its own and opens as many connections as it likes.
// None of them reconnects: the first that is lost closes all of them, and failover-queue.ts opens others.
import { randomUUID } from 'node:crypto'
import { createClient } from 'redis'
import type { RedisUnavailable } from '../errors.ts'
import { resp2SettingsOf, type Server, withinConnectTime } from '../redis/connection.ts'
import { IS_FULL, unavailable } from '../redis/refusals.ts'
import { type BullServer, examineServer } from './bull-server.ts'

// One class for all of them, as in ../redis/connection.ts.
const createModel = () =>
  createClient({ RESP: 2, maintNotifications: 'disabled', commandOptions: { timeout: 0 } })
let model: ReturnType<typeof createModel> | undefined

function buildTextClient(server: Server) {
  model ??= createModel()
  // A server that has no room for us says so in its first reply, which nobody may swallow.
  return model.duplicate({ ...resp2SettingsOf(server), disableClientInfo: true })
}

export type TextClient = ReturnType<typeof buildTextClient>

export interface TextClients {
  /** Connected; what the library duplicates of it belongs to these as well. */
  readonly client: TextClient
  readonly evictionPolicy: string | undefined
  /** Redis refuses something that jobs need: closes all of them, as when a connection is lost. */
  refuse(cause: RedisUnavailable): void
  /** Closes all of them and calls nobody; commands under way reject. */
  destroy(): void
}

export interface TextClientsOptions {
  server: Server
  prefix: string
  /** Called once, when any of the clients loses its connection, or cannot connect. */
  onLost: (cause: RedisUnavailable) => void
}

/** Rejects with the reason, as RedisUnavailable, when the first one cannot connect, or BullMQ cannot work there. */
export async function openTextClients({ server, prefix, onLost }: TextClientsOptions): Promise<TextClients> {
  const clients = new Set<TextClient>()
  let isOpen = false
  let firstFailure: RedisUnavailable | undefined
  let examined: BullServer | undefined

  function build(): TextClient {
    const client = buildTextClient(server)
    clients.add(client)
    client.on('ready', () => nameIt(client))
    client.on('error', (cause) => refuse(unavailable(cause)))
    const ask = client.info.bind(client)
    return Object.assign(client, { duplicate: build, info: async () => examined?.info ?? (await ask()) })
  }

  // Only for who lists them; a server that knows no CLIENT does without.
  function nameIt(client: TextClient): void {
    client.clientSetName('samovar-jobs').catch((error: Error) => {
      if (IS_FULL.test(error.message)) refuse(unavailable(error))
    })
  }

  function refuse(cause: RedisUnavailable): void {
    if (firstFailure) return
    firstFailure = cause
    destroy()
    if (isOpen) onLost(firstFailure)
  }

  function destroy(): void {
    firstFailure ??= unavailable(new Error('closed'))
    for (const client of clients) if (client.isOpen) client.destroy()
  }

  const client = build()
  try {
    await withinConnectTime(client.connect().then(() => {}))
    examined = await examineServer(client, `${prefix}:probe:${randomUUID()}`)
  } catch (cause) {
    // `connect` rejects with what closing has made of the failure.
    const reason = firstFailure ?? unavailable(cause)
    destroy()
    throw reason
  }
  if (firstFailure) throw firstFailure
  isOpen = true
  return { client, evictionPolicy: examined.evictionPolicy, refuse, destroy }
}
