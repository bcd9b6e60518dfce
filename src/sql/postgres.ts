// PostgreSQL through pg. Every way in which a server is away, slow, full or refuses us becomes DatabaseAway, within
// seconds; what a statement itself does wrong is passed on.
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import type pg from 'pg'
import type { PostgresTarget } from '../lib/postgres-url.ts'
import type { Row, SqlValue } from '../lib/sql-row.ts'
import { SECOND } from '../lib/time.ts'
import { numberParameters } from './dialect.ts'
import { inPreferredWay, reasonOf, settingsOf } from './postgres-tls.ts'
import type { Sql } from './sql.ts'

const MOST_CONNECTIONS = 5
const CONNECT_MS = 3 * SECOND
const STATEMENT_MS = 5 * SECOND // kept by the server
// For one transaction only. A pooler in transaction mode, such as PgBouncer, gives the same session to others, who
// would have what we set in it; as a parameter of the connection it would refuse it.
const LIMIT = `SET LOCAL statement_timeout = ${STATEMENT_MS}`
const KEEP_ALIVE_MS = 30 * SECOND // by default the system's two hours, which no NAT remembers
const ANSWER_MS = STATEMENT_MS + SECOND // kept by us, for a server that keeps nothing: it hangs, or is gone unnoticed

const require = createRequire(import.meta.url)
/** Loaded only where there is a server to ask, so that others do not pay for the library. */
const library = () => require('pg') as typeof pg

/** The server cannot be used right now. Its message holds no password. */
export class DatabaseAway extends Error {}

/** One statement, or several without parameters, in the transaction that it was given for. */
export type RunStatement = (text: string, ...parameters: SqlValue[]) => Promise<readonly Row[]>

export interface Postgres extends Sql {
  /** Which server and database, without who we are there. */
  readonly place: string
  /** BEGIN, the work, COMMIT, on one connection; what rejects is rolled back. */
  transaction<T>(work: (run: RunStatement) => Promise<T>): Promise<T>
  /** Immediately: running statements are rejected. */
  close(): Promise<void>
}

export function openPostgres(target: PostgresTarget): Postgres {
  const sockets = new Set<Socket>()
  const pool = new (library().Pool)({
    ...settingsOf(target),
    application_name: 'samovar',
    max: MOST_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    allowExitOnIdle: true,
    types: { getTypeParser },
    stream() {
      const socket = new Socket()
      sockets.add(socket)
      return socket.once('close', () => sockets.delete(socket))
    },
  })
  pool.on('error', () => {}) // an idle connection is lost: the next query opens another
  pool.on('connect', (client) => client.on('error', () => {})) // and a busy one's query rejects

  const connect = inPreferredWay(target, () => pool)

  // Without parameters it goes as a simple query, which may hold several statements.
  const ask = (to: pg.Pool | pg.PoolClient, text: string, parameters: readonly SqlValue[]) =>
    reach(async (): Promise<readonly Row[]> => {
      if (parameters.length === 0) return [await to.query(text)].flat().at(-1)?.rows ?? []
      return (await to.query(numberParameters(text), parameters.map(asParameter))).rows
    })

  async function transaction<T>(work: (run: RunStatement) => Promise<T>): Promise<T> {
    const client = await reach(() => connect(() => pool.connect()))
    try {
      await ask(client, `BEGIN; ${LIMIT}`, [])
      const answer = await work((text, ...parameters) => ask(client, text, parameters))
      await ask(client, 'COMMIT', [])
      client.release()
      return answer
    } catch (error) {
      client.release(true) // closed, which rolls back, in any state
      throw error
    }
  }

  return {
    place: `${target.host}:${target.port}/${target.database}`,
    // Without parameters it is one message, and that is one transaction.
    all: (query, ...parameters) =>
      parameters.length === 0
        ? connect(() => ask(pool, `${LIMIT}; ${query}`, []))
        : transaction((run) => run(query, ...parameters)),
    transaction,
    async close() {
      const ended = pool.end()
      // A hung server would not answer our good-bye.
      for (const socket of sockets) socket.destroySoon()
      const late = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, SECOND / 2)
      await ended
      clearTimeout(late)
    },
  }
}

const NUMBERS = new Set([20, 21, 23, 700, 701, 1700]) // int8, int2, int4, float4, float8, numeric
const BOOLEAN = 16
const TEXTS = new Set([1009, 1015]) // text[], varchar[]

/** What SQLite would give: numbers, text and null. Lists are JSON, as a list of json or jsonb already is. */
function getTypeParser(oid: number) {
  if (NUMBERS.has(oid)) return Number
  if (oid === BOOLEAN) return (text: string) => Number(text === 't')
  if (TEXTS.has(oid)) return (text: string) => JSON.stringify(library().types.getTypeParser(oid)(text))
  return (text: string) => text
}

const asParameter = (value: SqlValue) =>
  typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value

// Connections, logins, no such database, no resources, shut down or cancelled, I/O, a standby, a deadlock, a lock,
// bugs there.
const AWAY = /^(08|28|3D|53|57|58|25006|40|55P03|XX)/

async function reach<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw isAway(error) ? new DatabaseAway(reasonOf(error), { cause: error }) : error
  }
}

/** What is neither the server's word on a statement nor our bug: time-outs, lost connections, DNS, TLS. */
function isAway(error: unknown): boolean {
  if (error instanceof library().DatabaseError) return AWAY.test(String(error.code))
  return (error as Error).name !== 'TypeError'
}
