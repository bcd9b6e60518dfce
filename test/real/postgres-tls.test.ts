// Each of libpq's modes of TLS with a real PostgreSQL: with TLS and without, with a certificate of an authority that we
// have, of another one, for another host; and with a server that takes connections in one way only.
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readPostgresUrl } from '../../src/lib/postgres-url.ts'
import { openPostgres } from '../../src/sql/postgres.ts'
import { type Authority, createAuthority, type KeyPair } from '../helpers/certificates.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres-server.ts'

const LINES = `
host      postgres   all 127.0.0.1/32 scram-sha-256
hostssl   by_tls     all 127.0.0.1/32 scram-sha-256
hostnossl by_plain   all 127.0.0.1/32 scram-sha-256
hostssl   certified  all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
`

let postgres: TestPostgres
let dir: string
let data: string
let ours: Authority
let theirs: Authority
const pairs: Record<string, KeyPair> = {}
beforeAll(async () => {
  postgres = await startPostgres()
  dir = mkdtempSync(join(tmpdir(), 'samovar-tls-'))
  data = String((await postgres.query('postgres', 'SHOW data_directory'))[0]?.data_directory)
  ours = createAuthority(dir, 'ours')
  theirs = createAuthority(dir, 'theirs')
  pairs.ours = ours.sign('db', ['IP:127.0.0.1'])
  pairs['ours, for another host'] = ours.sign('db', ['DNS:db.example'])
  pairs['of another authority'] = theirs.sign('db', ['IP:127.0.0.1'])
  const visitor = ours.sign('samovar', [])
  writeFileSync(join(dir, 'visitor.crt'), visitor.certificate)
  writeFileSync(join(dir, 'visitor.key'), visitor.key)
  for (const name of ['by_tls', 'by_plain', 'certified'])
    await postgres.query('postgres', `CREATE DATABASE ${name}`)
  put('pg_hba.conf', LINES)
})
afterAll(async () => {
  await postgres?.close()
  rmSync(dir, { recursive: true, force: true })
})

/** A file of the server's, which is nobody else's. */
function put(name: string, text: string): void {
  const path = join(data, name)
  const { uid, gid } = statSync(data)
  writeFileSync(path, text)
  chmodSync(path, 0o600)
  if (process.getuid?.() === 0) chownSync(path, uid, gid)
}

/** Undefined: no TLS. */
async function restartWith(
  certificate: keyof typeof pairs | undefined,
  newest: '' | 'TLSv1.1' = '',
): Promise<void> {
  const pair = certificate === undefined ? undefined : pairs[certificate]
  put('server.key', pair?.key ?? '')
  put('server.crt', pair?.certificate ?? '')
  put('authority.crt', ours.certificate)
  const settings = [
    `ssl = ${pair ? 'on' : 'off'}`,
    "ssl_ca_file = 'authority.crt'",
    `ssl_min_protocol_version = ${newest === '' ? "'TLSv1.2'" : "'TLSv1'"}`,
    `ssl_max_protocol_version = '${newest}'`,
  ]
  for (const setting of settings) await postgres.query('postgres', `ALTER SYSTEM SET ${setting}`)
  await postgres.stop()
  await postgres.start()
}

/** How it is connected: by TLS, without; or why it is not. */
async function connection(words: string): Promise<string> {
  const [database = '', query = ''] = words.includes('/') ? words.split('/') : ['postgres', words]
  const files = query.replace(/\b(CA|OTHER|CERT|KEY)\b/g, (word) => FILES()[word] ?? word)
  const url = readPostgresUrl(`${postgres.url(database)}?${files}`, {
    readFile: (path) => ({ text: readFileSync(path, 'utf8') }),
  })
  if (typeof url === 'string') return url
  const opened = openPostgres(url.target)
  try {
    const [row] = await opened.transaction((run) =>
      run('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'),
    )
    const way = row?.ssl === 1 ? 'TLS' : 'plain'
    const [again] = await opened.all('SELECT 1 AS one')
    return again?.one === 1 ? way : 'no answer'
  } catch (error) {
    return (error as Error).message
  } finally {
    await opened.close()
  }
}

const FILES = (): Record<string, string> => ({
  CA: ours.path,
  OTHER: theirs.path,
  CERT: join(dir, 'visitor.crt'),
  KEY: join(dir, 'visitor.key'),
})

async function expectEach(expected: Record<string, string>): Promise<void> {
  const found: Record<string, string> = {}
  for (const words of Object.keys(expected)) found[words] = await connection(words)
  const asExpected = Object.entries(expected).map(([words, said]) => [
    words,
    said === 'TLS' || said === 'plain' ? said : expect.stringContaining(said),
  ])
  expect(found).toEqual(Object.fromEntries(asExpected))
}

const NO_TLS = 'The server does not support SSL connections: it has no TLS, which sslmode asks for'
const UNKNOWN =
  'its certificate is of no authority that is known here: name the file of its authority in sslrootcert'
const OTHER_HOST = 'its certificate is for another host: sslmode=verify-ca looks at its authority alone'

test('a server without TLS: what insists on it is refused, everything else connects', async () => {
  await restartWith(undefined)
  await expectEach({
    '': 'plain',
    'sslmode=disable': 'plain',
    'sslmode=allow': 'plain',
    'sslmode=prefer': 'plain',
    'ssl=false': 'plain',
    'sslmode=require': NO_TLS,
    'ssl=true': NO_TLS,
    'sslmode=no-verify': NO_TLS,
    'sslmode=verify-ca&sslrootcert=CA': NO_TLS,
    'sslmode=verify-full&sslrootcert=CA': NO_TLS,
    'sslrootcert=CA': NO_TLS,
  })
})

test('a server with a certificate of an authority that we have, for its host', async () => {
  await restartWith('ours')
  await expectEach({
    '': 'plain', // this machine
    'sslmode=disable': 'plain',
    'sslmode=allow': 'TLS',
    'sslmode=prefer': 'TLS',
    'sslmode=require': 'TLS',
    'ssl=true': 'TLS',
    'sslmode=no-verify': 'TLS',
    'sslmode=verify-ca&sslrootcert=CA': 'TLS',
    'sslmode=verify-full&sslrootcert=CA': 'TLS',
    'sslmode=require&sslrootcert=CA': 'TLS',
    'ssl=true&sslrootcert=CA': 'TLS',
    'sslrootcert=CA': 'TLS',
    'sslmode=verify-ca': UNKNOWN,
    'sslmode=verify-full': UNKNOWN,
    'sslmode=verify-full&sslrootcert=system': UNKNOWN,
    'sslmode=require&sslrootcert=OTHER': UNKNOWN,
    'sslmode=verify-ca&sslrootcert=OTHER': UNKNOWN,
    'sslmode=prefer&sslrootcert=OTHER': 'TLS', // as libpq: it does not look
  })
})

test('for another host: only verify-full looks at that', async () => {
  await restartWith('ours, for another host')
  await expectEach({
    'sslmode=prefer': 'TLS',
    'sslmode=require': 'TLS',
    'sslmode=require&sslrootcert=CA': 'TLS',
    'sslmode=verify-ca&sslrootcert=CA': 'TLS',
    'sslmode=verify-full&sslrootcert=CA': OTHER_HOST,
  })
})

test('of an authority that we do not have: only what looks at the certificate is refused', async () => {
  await restartWith('of another authority')
  await expectEach({
    'sslmode=allow': 'TLS',
    'sslmode=prefer': 'TLS',
    'sslmode=require': 'TLS',
    'ssl=true': 'TLS',
    'ssl=no-verify': 'TLS',
    'sslmode=require&sslrootcert=CA': UNKNOWN,
    'sslmode=verify-ca&sslrootcert=CA': UNKNOWN,
    'sslmode=verify-full&sslrootcert=CA': UNKNOWN,
    'sslmode=verify-full&sslrootcert=OTHER': 'TLS',
  })
})

test('a server that takes only the one way, or asks for a certificate of ours', async () => {
  await restartWith('ours')
  await expectEach({
    'by_tls/sslmode=disable': 'no encryption: where it takes connections by TLS only: sslmode=require',
    'by_tls/sslmode=allow': 'TLS',
    'by_tls/sslmode=prefer': 'TLS',
    'by_tls/sslmode=require': 'TLS',
    'by_plain/sslmode=disable': 'plain',
    'by_plain/sslmode=allow': 'plain',
    'by_plain/sslmode=prefer': 'plain',
    'by_plain/sslmode=require': 'no pg_hba.conf entry for host',
    'certified/sslmode=require': 'connection requires a valid client certificate',
    'certified/sslmode=require&sslcert=CERT&sslkey=KEY': 'TLS',
    'certified/sslmode=verify-full&sslrootcert=CA&sslcert=CERT&sslkey=KEY': 'TLS',
  })
})

test('a server whose TLS is too old: what only prefers TLS does without, also where nothing else has asked before', async () => {
  await restartWith('ours', 'TLSv1.1')
  await expectEach({ 'sslmode=prefer': 'plain', 'sslmode=require': 'protocol version' })
  const url = readPostgresUrl(`${postgres.url('postgres')}?sslmode=prefer`, {
    readFile: () => ({ problem: 'no file is named' }),
  })
  if (typeof url === 'string') throw new Error(url)
  const opened = openPostgres(url.target)
  try {
    for (const _ of [1, 2]) expect(await opened.all('SELECT 1 AS one')).toEqual([{ one: 1 }])
  } finally {
    await opened.close()
  }
})
