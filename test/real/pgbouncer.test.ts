// PostgreSQL behind PgBouncer in transaction mode, whose one session we share with another client: nothing of ours
// stays in it, and everything of ours works.
import pg from 'pg'
import { parsePostgresUrl } from '../../src/lib/postgres-url.ts'
import { openPostgres, type Postgres } from '../../src/sql/postgres.ts'
import { startApp } from '../helpers/app.ts'
import { createCountries } from '../helpers/countries-tables.ts'
import { findPgBouncer, startPgBouncer, type TestPgBouncer } from '../helpers/pgbouncer.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres-server.ts'
import { SECRET, signedRequest } from '../helpers/webhook-app.ts'

const program = findPgBouncer()
const onPgBouncer = program ? describe : describe.skip

onPgBouncer('in transaction mode', () => {
  let postgres: TestPostgres
  let pooler: TestPgBouncer
  let database: string
  let ours: Postgres
  let other: pg.Client
  beforeAll(async () => {
    postgres = await startPostgres()
    pooler = await startPgBouncer(program as string, postgres)
    database = await createCountries(postgres)
    const target = parsePostgresUrl(pooler.url(database))
    if (typeof target === 'string') throw new Error(target)
    ours = openPostgres(target)
    other = new pg.Client({ connectionString: pooler.url(database) })
    await other.connect()
  })
  afterAll(async () => {
    await other?.end()
    await ours?.close()
    await pooler?.stop()
    await postgres?.close()
  })

  /** What the session has that it did not have when it began, by the other client. */
  async function leftBehind() {
    const one = async (query: string) => Object.values((await other.query(query)).rows[0])[0]
    const count = async (from: string) => Number(await one(`SELECT COUNT(*) FROM ${from}`))
    return {
      limits: [await one('SHOW statement_timeout'), await one('SHOW lock_timeout')],
      prepared: await count('pg_prepared_statements'),
      locks: await count("pg_locks WHERE locktype = 'advisory'"),
      listening: await count('pg_listening_channels()'),
    }
  }
  const NOTHING = { limits: ['0', '0'], prepared: 0, locks: 0, listening: 0 }

  test('both have the same session', async () => {
    const [row] = await ours.all('SELECT pg_backend_pid() AS pid')
    expect(Number((await other.query('SELECT pg_backend_pid() AS pid')).rows[0].pid)).toBe(row?.pid)
  })

  test('each of our statements has its limit, and the other client has none', async () => {
    const limit = "SELECT current_setting('statement_timeout') AS found"
    expect(await ours.all(limit)).toEqual([{ found: '5s' }])
    expect(await leftBehind()).toEqual(NOTHING)
    expect(await ours.all(`${limit} WHERE ? = 1`, 1)).toEqual([{ found: '5s' }])
    expect(await leftBehind()).toEqual(NOTHING)
    const inside = await ours.transaction(async (run) => [
      await run(limit),
      await run(`${limit} WHERE ? = 1`, 1),
    ])
    expect(inside).toEqual([[{ found: '5s' }], [{ found: '5s' }]])
    expect(await leftBehind()).toEqual(NOTHING)
  })

  test('statements that fail leave nothing either, and the next ones work', async () => {
    for (const wrong of [
      () => ours.all('SELECT nonsense'),
      () => ours.all('SELECT 1 / ?', 0),
      () => ours.transaction(async (run) => run('SELECT 1 / ?', 0)),
    ]) {
      await expect(wrong()).rejects.toThrow()
      expect(await ours.all('SELECT 1 AS one')).toEqual([{ one: 1 }])
      expect(await leftBehind()).toEqual(NOTHING)
    }
  })

  test('the app: countries, and a webhook that is done once; the other client notices nothing', async () => {
    const app = await startApp({
      REDIS_URL: 'off',
      DATABASE_URL: pooler.url(database),
      WEBHOOK_SECRETS: `payments=${SECRET}`,
    })
    try {
      const list = (await (await app.get('/api/countries')).json()) as { source: string; stale: boolean }
      expect(list).toMatchObject({ source: 'postgres', stale: false })
      const send = () => app.get('/api/webhooks/payments', signedRequest('msg_1', '{"text":"x"}', Date.now()))
      expect((await send()).status).toBe(204)
      expect((await send()).headers.get('idempotent-replayed')).toBe('true')
      expect(await leftBehind()).toEqual(NOTHING)
    } finally {
      await app.close()
    }
  })
})
