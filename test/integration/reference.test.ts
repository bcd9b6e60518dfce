// Reference data from a real PostgreSQL and from Supabase's REST: what is answered, while they work and while they do
// not.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PATIENCE_MS } from '../../src/features/reference/reference-table.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { timed } from '../helpers/control-clock.ts'
import { countryRows, createCountries, renameGermany } from '../helpers/countries-tables.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FakePostgrest, startPostgrest, type Trouble } from '../helpers/fake-postgrest.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres-server.ts'

const ADMIN_TOKEN = 'the-admin-token'
const admin = { authorization: `Bearer ${ADMIN_TOKEN}` }
const CANNOT_BE_READ = 'the database of reference data cannot be read: the last good copy is served'
const BRIEF_HOURS = '0.0001' // 360 ms

interface Germany {
  name: string
  stale: boolean
  asOf: string | null
  source: string
}
const germany = async (app: TestApp) => {
  const response = await app.get('/api/countries/de')
  return { status: response.status, headers: response.headers, ...((await response.json()) as Germany) }
}
const refresh = (app: TestApp, headers: Record<string, string> = admin) =>
  app.get('/api/reference/refresh', { method: 'POST', headers })
const clear = (app: TestApp) => app.get('/api/cache/clear', { method: 'POST', headers: admin })
const logged = (app: TestApp) =>
  JSON.stringify(app.lines, (_, value) => (value instanceof Error ? value.stack : value))

/** Germany's row is bad, however often the table is read. */
async function expectOneRowLess(app: TestApp, source: string): Promise<void> {
  for (const _ of [1, 2])
    expect(await (await refresh(app)).json()).toEqual({ refreshed: 251, skipped: 1, source })
  expect((await germany(app)).status).toBe(404)
  const list = (await (await app.get('/api/countries')).json()) as object
  expect(list).toMatchObject({ total: 251, stale: false, source })
  const lines = app.lines.filter(({ message }) => message.startsWith('rows of reference data are left out'))
  expect(lines).toEqual([
    {
      level: 'warn',
      message: expect.stringContaining('row DE, column phones'),
      fields: { source, skipped: 1 },
    },
  ])
}

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close()
})
async function open(env: Record<string, string>): Promise<TestApp> {
  const app = await startApp({ REDIS_URL: 'off', ADMIN_TOKEN, ...env })
  opened.push(app)
  return app
}
function makeFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
  opened.push({ close: () => rmSync(dir, { recursive: true, force: true }) })
  return dir
}

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.close())

describe('SQLite, as it comes', () => {
  test('the whole table, not stale, from the file', async () => {
    const app = await open({})
    const list = (await (await app.get('/api/countries')).json()) as Germany & { total: number }
    expect(list).toMatchObject({ language: 'en', total: 252, stale: false, source: 'sqlite' })
    expect(Date.now() - Date.parse(list.asOf ?? '')).toBeLessThan(60_000)
    expect(await (await refresh(app)).json()).toEqual({ refreshed: 252, source: 'sqlite' })
  })
})

describe('PostgreSQL', () => {
  let database: string
  const settings = (url = postgres.url(database)) => ({ DATABASE_URL: url })
  beforeEach(async () => {
    database = await createCountries(postgres)
  })

  test('is the source, and what changes in it is there after a refresh', async () => {
    const app = await open(settings())
    const before = await germany(app)
    expect(before).toMatchObject({ name: 'Germany of the database', stale: false, source: 'postgres' })
    expect(before.headers.get('cache-status')).toBe('samovar; fwd=miss')
    await renameGermany(postgres, database, 'Another name')
    expect(await germany(app)).toMatchObject({ name: 'Germany of the database' })
    const refreshed = await refresh(app)
    expect([refreshed.status, await refreshed.json()]).toEqual([200, { refreshed: 252, source: 'postgres' }])
    expect(await germany(app)).toMatchObject({ name: 'Another name', stale: false })
    const list = await app.get('/api/countries')
    expect(list.headers.get('cache-status')).toContain('hit') // the refresh has put it there
    const { countries } = (await list.json()) as { countries: Germany[] }
    expect(countries.map(({ name }) => name)).toContain('Another name')
  })

  test('text[] and jsonb columns will do for the lists', async () => {
    const list = (type: string, value: string) =>
      `ALTER TABLE countries ALTER COLUMN currencies TYPE ${type} USING ${value}`
    const toArray = `string_to_array(translate(currencies, '[]" ', ''), ',')`
    await postgres.query(
      database,
      `${list('text[]', toArray)};
      ALTER TABLE countries ALTER COLUMN languages TYPE jsonb USING languages::jsonb`,
    )
    const app = await open(settings())
    expect(await germany(app)).toMatchObject({ currencies: ['EUR'], languages: ['de'], source: 'postgres' })
  })

  test('only the admin refreshes', async () => {
    const app = await open(settings())
    for (const headers of [{}, { authorization: 'Bearer another-token' }]) {
      expect((await refresh(app, headers)).status).toBe(401)
    }
    const unlocked = await open({ ...settings(), ADMIN_TOKEN: '' })
    expect((await refresh(unlocked)).status).toBe(401)
    expect((await app.get('/api/reference/refresh', { headers: admin })).headers.get('allow')).toBe('POST')
  })

  test.each<[string, string]>([
    ['DROP TABLE countries', 'countries'],
    ['DELETE FROM countries', 'no rows'],
    ["UPDATE countries SET phones = 'none'", 'column phones: must be a list of texts'],
    ['ALTER TABLE countries DROP COLUMN capital', 'capital'],
  ])('after %s the copy is kept, and the log says what is wrong', async (statement, reason) => {
    const app = await open(settings())
    const before = await germany(app)
    await postgres.query(database, statement)
    const refused = await refresh(app)
    expect([refused.status, await refused.json()]).toEqual([
      503,
      expect.objectContaining({ code: 'source_failed' }),
    ])
    await clear(app)
    expect(await germany(app)).toMatchObject({
      status: 200,
      name: before.name,
      asOf: before.asOf,
      stale: true,
      source: 'postgres',
    })
    const warnings = app.lines.filter(({ message }) => message === CANNOT_BE_READ)
    expect(warnings).toEqual([
      expect.objectContaining({ fields: { source: 'postgres', reason: expect.stringContaining(reason) } }),
    ])
  })

  test('a bad row costs that row, with one line and a count', async () => {
    const app = await open(settings())
    await postgres.query(database, "UPDATE countries SET phones = 'none' WHERE code = 'DE'")
    await expectOneRowLess(app, 'postgres')
    await postgres.query(database, "UPDATE countries SET phones = '[\"49\"]' WHERE code = 'DE'")
    expect(await (await refresh(app)).json()).toEqual({ refreshed: 252, source: 'postgres' })
    expect((await germany(app)).status).toBe(200)
  })

  test('the last good copy outlives a restart, and is of that database only', async () => {
    const DATA_DIR = makeFolder()
    const first = await open({ ...settings(), DATA_DIR })
    const { asOf } = await germany(first)
    await first.close()
    await postgres.stop()
    try {
      const second = await open({ ...settings(), DATA_DIR })
      const kept = await germany(second)
      expect(kept).toMatchObject({ status: 200, name: 'Germany of the database', asOf, stale: true })
      expect(Number(kept.headers.get('age'))).toBeGreaterThanOrEqual(0)
      expect(kept.headers.get('cache-status')).toMatch(/^samovar; hit; ttl=-?\d+$/)
      const list = (await (await second.get('/api/countries?q=germ')).json()) as { countries: unknown[] }
      expect(list).toMatchObject({ stale: true, asOf, source: 'postgres', total: 1 })
      expect((await second.get('/api/countries/zz')).status).toBe(404)
      expect((await second.get('/')).status).toBe(200)
      expect((await refresh(second)).status).toBe(503)
      const other = await open({ ...settings(postgres.url('another')), DATA_DIR })
      expect(await germany(other)).toMatchObject({
        name: 'Germany',
        stale: true,
        asOf: null,
        source: 'image',
      })
      await postgres.start()
      await eventually(async () => expect(await germany(second)).toMatchObject({ stale: false }))
    } finally {
      await postgres.start()
    }
  })

  test.each<[string, () => string]>([
    ['a name that DNS does not know', () => 'postgres://user:sentinel-password@no-such-host.invalid/app'],
    ['a wrong password', () => postgres.url(database, 'sentinel-password-but-wrong')],
    ['a database that is not there', () => postgres.url('nowhere')],
    ['nothing at that address', () => 'postgres://user:sentinel-password@127.0.0.1:1/app'],
    ['no TLS there', () => `${postgres.url(database)}?sslmode=require`],
  ])('%s: the image answers, and the log keeps the secret', async (_name, url) => {
    const app = await open(settings(url()))
    const answers = await Promise.all([germany(app), germany(app)])
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, name: 'Germany', stale: true, asOf: null, source: 'image' })
    }
    await eventually(() => expect(app.lines.map(({ message }) => message)).toContain(CANNOT_BE_READ))
    expect(logged(app)).not.toContain('sentinel')
    expect((await app.get('/api/countries?lang=ru')).status).toBe(200)
  })

  test('a frozen server costs who asks first one second, and nobody else anything', async () => {
    const app = await open({ ...settings(), CACHE_TTL_HOURS: BRIEF_HOURS })
    await germany(app)
    postgres.freeze()
    try {
      await clear(app)
      const tookMs: number[] = []
      for (let i = 0; i < 20; i += 1) {
        const read = await timed(() => germany(app))
        expect(read.answer).toMatchObject({ status: 200, stale: true, source: 'postgres' })
        tookMs.push(read.tookMs)
      }
      const other = await open(settings())
      await germany(other)
      expect((await timed(() => other.close())).tookMs).toBeLessThan(5_000)
      expect(tookMs[0]).toBeLessThan(2 * PATIENCE_MS)
      expect(tookMs.slice(1).filter((ms) => ms > 0.6 * PATIENCE_MS)).toEqual([])
    } finally {
      postgres.thaw()
    }
    await eventually(async () => expect(await germany(app)).toMatchObject({ stale: false }))
  })

  test('TLS: require takes any certificate, verify-full does not take that one', async () => {
    await postgres.speakTls()
    const encrypted = await open(settings(`${postgres.url(database)}?sslmode=require`))
    expect(await germany(encrypted)).toMatchObject({ source: 'postgres', stale: false })
    const connections =
      'SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) ' +
      "WHERE application_name = 'samovar'"
    expect(await postgres.query(database, connections)).toEqual([{ ssl: true }])
    for (const sslmode of ['verify-ca', 'verify-full']) {
      const verified = await open(settings(`${postgres.url(database)}?sslmode=${sslmode}`))
      expect(await germany(verified)).toMatchObject({ source: 'image', stale: true })
      expect(logged(verified)).toContain('self-signed certificate')
    }
  })

  test('with the cache switched off each read asks it, and is answered without it, too', async () => {
    const app = await open({ ...settings(), CACHE_ENABLED: 'false' })
    await renameGermany(postgres, database, 'At once')
    expect(await germany(app)).toMatchObject({ name: 'At once', stale: false })
    await postgres.stop()
    try {
      expect(await germany(app)).toMatchObject({ status: 200, name: 'At once', stale: true })
    } finally {
      await postgres.start()
    }
  })
})

describe('Supabase', () => {
  let supabase: FakePostgrest
  const settings = () => ({ SUPABASE_URL: supabase.url, SUPABASE_ANON_KEY: supabase.key })
  beforeEach(async () => {
    supabase = await startPostgrest(countryRows())
    opened.push(supabase)
  })

  test('is the source, page by page', async () => {
    supabase.mostRows = 100
    const app = await open(settings())
    const list = (await (await app.get('/api/countries')).json()) as Germany & {
      total: number
      countries: Germany[]
    }
    expect(list).toMatchObject({ total: 252, stale: false, source: 'supabase' })
    expect(new Set(list.countries.map(({ name }) => name)).size).toBe(252)
    expect(await germany(app)).toMatchObject({ name: 'Germany of the database', currencies: ['EUR'] })
    expect(supabase.requests.slice(0, 3)).toEqual([
      { path: '/rest/v1/countries', range: '0-999' },
      { path: '/rest/v1/countries', range: '100-1099' },
      { path: '/rest/v1/countries', range: '200-1199' },
    ])
    expect(supabase.requests[3]?.range).toBe('252-1251') // the end is where there is nothing more
    supabase.rows = countryRows('Another name')
    expect(await (await refresh(app)).json()).toEqual({ refreshed: 252, source: 'supabase' })
    expect(await germany(app)).toMatchObject({ name: 'Another name' })
  })

  test('a bad row costs that row, with one line and a count', async () => {
    supabase.rows = countryRows().map((row) => (row.code === 'DE' ? { ...row, phones: null } : row))
    const app = await open(settings())
    await expectOneRowLess(app, 'supabase')
  })

  test('whatever is wrong there: the last good copy, and afterwards the table again', async () => {
    const troubles: Trouble[] = ['500', '401', 'garbage', 'cut', 'redirect', 'hang']
    const failing = troubles.map(async (trouble) => {
      const DATA_DIR = makeFolder()
      const server = await startPostgrest(countryRows())
      opened.push(server)
      const env = { SUPABASE_URL: server.url, SUPABASE_ANON_KEY: server.key, DATA_DIR }
      const app = await open({ ...env, CACHE_TTL_HOURS: BRIEF_HOURS })
      // A first load that is slow is answered without it: the copy is there once the table has been read.
      const { asOf } = await eventually(async () => {
        const found = await germany(app)
        expect(found).toMatchObject({ source: 'supabase', stale: false })
        return found
      })
      server.trouble = trouble
      await clear(app)
      const copy = { status: 200, name: 'Germany of the database', stale: true, asOf, source: 'supabase' }
      expect([trouble, await germany(app)]).toEqual([trouble, expect.objectContaining(copy)])
      expect([trouble, await germany(await open(env))]).toEqual([trouble, expect.objectContaining(copy)])
      expect(logged(app)).not.toContain('sentinel')
      server.trouble = 'none'
      await eventually(async () => expect(await germany(app)).toMatchObject({ stale: false }))
      expect(server.requests.map(({ path }) => path)).not.toContain('/elsewhere')
    })
    await Promise.all(failing)
  })

  test('a table without a policy is no empty world', async () => {
    supabase.rows = []
    const app = await open(settings())
    expect(await germany(app)).toMatchObject({ status: 200, source: 'image', stale: true })
    expect(logged(app)).toContain('no rows that this user may read')
  })
})
