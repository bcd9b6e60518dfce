import { readPostgresUrl } from '../../src/lib/postgres-url.ts'
import { settingsOf } from '../../src/sql/postgres-tls.ts'

const FILES: Record<string, string> = { '/ca.pem': 'CA', '/cert.pem': 'CERT', '/key.pem': 'KEY' }
const readFile = (path: string) =>
  FILES[path] === undefined ? { problem: 'cannot be read: ENOENT' } : { text: FILES[path] }
const read = (text: string, sslmode?: string) => {
  const url = readPostgresUrl(text, { readFile, sslmode })
  return typeof url === 'string' ? url : { ...url.target, unused: url.unused, warnings: url.warnings }
}
const URL_OF = 'postgres://u:p@db.example/app'

test.each([
  ['', 'preferred'],
  ['?sslmode=disable', 'off'],
  ['?sslmode=allow', 'preferred'],
  ['?sslmode=prefer', 'preferred'],
  ['?sslmode=require', 'encrypted'],
  ['?sslmode=verify-ca', 'verified-authority'],
  ['?sslmode=verify-full', 'verified'],
  ['?sslmode=REQUIRE', 'encrypted'],
  ['?ssl=true', 'encrypted'],
  ['?ssl=false', 'off'],
  ['?ssl=1&sslmode=verify-full', 'verified'],
  ['?requiressl=1', 'encrypted'],
  ['?sslmode=require&sslaccept=strict', 'verified'],
  ['?sslmode=require&sslrootcert=/ca.pem', 'verified-authority'],
  ['?sslmode=verify-full&sslrootcert=/ca.pem', 'verified'],
  ['?sslrootcert=/ca.pem', 'verified-authority'],
  ['?sslrootcert=system', 'verified'],
])('%s: TLS is %s', (query, tls) => {
  expect(read(URL_OF + query)).toMatchObject({ tls })
})

test('an authority, and a certificate of ours, are read from their files', () => {
  const both = read(`${URL_OF}?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/cert.pem&sslkey=/key.pem`)
  expect(both).toMatchObject({ ca: 'CA', client: { cert: 'CERT', key: 'KEY' } })
  expect(settingsOf(both as never).ssl).toEqual({
    rejectUnauthorized: true,
    ca: 'CA',
    cert: 'CERT',
    key: 'KEY',
  })
})

test('no-verify is taken with a warning, in the URL or in PGSSLMODE; on this machine there is nothing to hide', () => {
  const warnings = [expect.stringContaining('no-verify: TLS without')]
  expect(read(`${URL_OF}?sslmode=no-verify`)).toMatchObject({ tls: 'encrypted', warnings })
  expect(read(`${URL_OF}?ssl=no-verify`)).toMatchObject({ tls: 'encrypted', warnings })
  expect(read(URL_OF, 'no-verify')).toMatchObject({ tls: 'encrypted', warnings })
  expect(read(`${URL_OF}?sslmode=verify-full`, 'no-verify')).toMatchObject({ tls: 'verified', warnings: [] })
  for (const host of ['localhost', '127.1', '[::1]'])
    expect(read(`postgres://u:p@${host}/app`, 'require')).toMatchObject({ tls: 'off' })
})

test.each<[string, object]>([
  ['postgresql://u:p@h/app', { host: 'h' }],
  ['postgresql+asyncpg://u:p@h/app', { host: 'h' }],
  ['postgres+psycopg2://u:p@h/app', { host: 'h' }],
  ['postgis://u:p@h/app', { host: 'h' }],
  ['jdbc:postgresql://h:5433/app?user=u&password=p', { host: 'h', port: 5433, user: 'u', password: 'p' }],
  ['postgres://u:p@/app?host=/var/run/postgresql', { host: '/var/run/postgresql', tls: 'off' }],
  ['postgres://u:p@%2Fvar%2Frun%2Fpostgresql/app', { host: '/var/run/postgresql' }],
  ['postgres://u:p@h:6543?dbname=app', { port: 6543, database: 'app' }],
  [`${URL_OF}?options=-c%20search_path%3Dx`, { options: '-c search_path=x' }],
  [`${URL_OF}?channel_binding=require`, { channelBinding: true }],
  [
    `${URL_OF}?schema=public&pgbouncer=true&connection_limit=1`,
    { unused: ['pgbouncer', 'connection_limit'] },
  ],
  [`${URL_OF}?serverVersion=16&charset=utf8`, { unused: ['serverversion', 'charset'] }],
  ['postgres://u:p%23%2F%40@h/app', { password: 'p#/@' }],
])('%s is understood', (text, expected) => {
  expect(read(text)).toMatchObject(expected)
})

test.each<[string, string]>([
  ['postgres://u:p#q@h/app', 'has # in its user or password: write it as %23'],
  ['postgres://u:p/q@h/app', 'has / in its user or password: write it as %2F'],
  ['postgres://u:p?q@h/app', 'has ? in its user or password: write it as %3F'],
  [`${URL_OF}?sslmode=always`, 'has an sslmode that is not one of disable, allow, prefer'],
  [`${URL_OF}?ssl=true&sslmode=disable`, 'says both: with TLS and without'],
  [`${URL_OF}?sslrootcert=/none.pem`, 'has a file for sslrootcert that cannot be read: ENOENT'],
  [`${URL_OF}?sslcert=/cert.pem`, 'has one of sslcert and sslkey, which belong together'],
  [`${URL_OF}?schema=tenant`, 'has the parameter schema'],
  [`${URL_OF}?target_session_attrs=read-only`, 'has target_session_attrs'],
  [`${URL_OF}?gssencmode=require`, 'has gssencmode=require'],
  [`${URL_OF}?sslcrl=/crl.pem`, 'has the parameter sslcrl'],
  [`${URL_OF}?service=mine`, 'has the parameter service'],
  [`${URL_OF}?user=other`, 'has two values for the user'],
  ['postgres://u:p@a:5432,b:5432/app', 'names several hosts'],
  ['postgres://u:p@h:x/app', 'has a port'],
  ['postgres://h/app', 'must look like postgres://'],
  ['mysql://u:p@h/app', 'is for MySQL'],
  ['mongodb+srv://u:p@h/app', 'is for mongodb'],
  ['prisma+postgres://accelerate.prisma-data.net/?api_key=x', 'is an address of Prisma’s'],
])('%s is refused by name', (text, sentence) => {
  expect(read(text)).toContain(sentence)
})
