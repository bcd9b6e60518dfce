// The commands in docs/features/reference.md, as they stand there: pasted into a shell, they make the table and fill
// it.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startApp, type TestApp } from '../helpers/app.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres-server.ts'
import { SECRET, signedRequest } from '../helpers/webhook-app.ts'

const docs = join(import.meta.dirname, '../../docs')
const blocksOf = (file: string) =>
  [...readFileSync(join(docs, file), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(([, commands]) =>
    String(commands),
  )

/** Not execFileSync: the app that is asked answers in this process. */
function run(commands: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...env, PATH: process.env.PATH ?? '' } }
    execFile('bash', ['--norc', '-euo', 'pipefail', '-c', commands], options, (error, out, err) =>
      error ? reject(new Error(`${error.message} ${err}`)) : resolve(out),
    )
  })
}

let postgres: TestPostgres
let filled: TestApp
beforeAll(async () => {
  postgres = await startPostgres()
  await postgres.query('postgres', 'CREATE ROLE anon') // as Supabase has it
  filled = await startApp({ REDIS_URL: 'off' })
})
afterAll(async () => {
  await filled.close()
  await postgres.close()
})

test.each([
  ['features/reference.md', 'app_en'],
  ['ru/features/reference.md', 'app_ru'],
])('%s', async (file, role) => {
  const [look = '', create = '', grant = '', supabase = '', refresh = '', ...more] = blocksOf(file)
  expect(more).toEqual([])
  const database = await postgres.createDatabase()
  const env = { DATABASE_URL: postgres.url(database), ADMIN_TOKEN: 'the-admin-token' }
  const at = ({ url }: TestApp, commands: string) =>
    run(commands.replaceAll('localhost:8080', url.slice('http://'.length)), env)
  await at(filled, create)
  await at(filled, grant.replaceAll('samovar_app', role))

  const DATABASE_URL = postgres.url(database, 'choose-another-one').replace('samovar:', `${role}:`)
  const app = await startApp({
    ...env,
    REDIS_URL: 'off',
    DATABASE_URL,
    WEBHOOK_SECRETS: `payments=${SECRET}`,
  })
  try {
    expect(await at(app, look)).toMatch(/"total":1,"stale":false,.*"source":"postgres".*\{"code":"DE"/s)
    expect(JSON.parse(await at(app, refresh))).toEqual({ refreshed: 252, source: 'postgres' })
    const delivery = await app.get('/api/webhooks/payments', signedRequest('msg_1', '{}', Date.now()))
    expect(delivery.status).toBe(204)
  } finally {
    await app.close()
  }
  await at(filled, supabase)
  expect(await postgres.query(database, 'SET ROLE anon; SELECT count(*) FROM countries')).toEqual([
    { count: '252' },
  ])
})
