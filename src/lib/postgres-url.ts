// Where a PostgreSQL is, as a URL says it: postgres://user[:password]@host[:port]/database[?sslmode=…]. Each part is
// honoured, or refused by name, or mentioned as of no account here.
import { isThisMachine } from './environment/this-machine.ts'
import { isPort, placeOf, splitUrl, type UrlText, yesOrNo } from './environment/url-text.ts'

/**
 * `preferred`: TLS if the server has it. `encrypted`: TLS with any certificate, as libpq's `require`.
 * `verified-authority`: the certificate must be of a known authority, for any host. `verified`: and for this host.
 */
export type PostgresTls = 'off' | 'preferred' | 'encrypted' | 'verified-authority' | 'verified'

export interface PostgresTarget {
  /** A name, an address, or the directory of a socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password?: string
  readonly database: string
  readonly tls: PostgresTls
  /** In PEM. */
  readonly ca?: string
  readonly client?: { readonly cert: string; readonly key: string; readonly passphrase?: string }
  /** What the server is told at the start of a connection: `-c name=value`. */
  readonly options?: string
  readonly channelBinding?: true
}

export interface PostgresUrl {
  readonly target: PostgresTarget
  /** Parameters for other clients, which change nothing here. */
  readonly unused: readonly string[]
  readonly warnings: readonly string[]
}

export interface Surroundings {
  /** PGSSLMODE, which counts where the URL has no sslmode. */
  readonly sslmode?: string | undefined
  /** The text of a file, or what is wrong with it. */
  readFile(path: string): { readonly text: string } | { readonly problem: string }
}

const FORM = 'must look like postgres://user:password@host[:port]/database[?sslmode=require]'
/** libpq's own, other libraries' names of it, and SQLAlchemy's with the driver behind it. */
const SCHEMES =
  /^(postgres|postgresql|postgis|psql|pgsql)(\+(asyncpg|aiopg|psycopg|psycopg2|psycopg2cffi|psycopg_async|pg8000))?$/
const MODES: ReadonlyMap<string, PostgresTls> = new Map([
  ['disable', 'off'],
  ['allow', 'preferred'],
  ['prefer', 'preferred'],
  ['require', 'encrypted'],
  ['verify-ca', 'verified-authority'],
  ['verify-full', 'verified'],
  ['no-verify', 'encrypted'], // Heroku's
])
const UNVERIFIED =
  'no-verify: TLS without a look at the certificate, so that a server between could read along. verify-full checks it'

const OURS = new Set([
  ...[
    'host',
    'port',
    'user',
    'password',
    'dbname',
    'sslmode',
    'ssl',
    'requiressl',
    'sslaccept',
    'sslrootcert',
  ],
  ...['sslcert', 'sslkey', 'sslpassword', 'options', 'channel_binding', 'schema', 'currentschema'],
  ...['target_session_attrs', 'gssencmode'],
])
const OTHERS = new RegExp(
  '^(pgbouncer|connection_limit|(fallback_)?application_?name|conn_max_age|conn_health_checks|client_encoding|' +
    'charset|encoding|serverversion|uselibpqcompat|sslcompression|sslsni|supa|workaround|adapter|reconnect|' +
    'prepare_?threshold|prepared_?statements?|load_balance_hosts|timezone|stringtype|autosave|' +
    'rewritebatchedinserts|(max|min)_?.*|.*(timeout|keep_?alive|pool|cache|fetch|retr).*)$',
)

/** The target a URL names, or a sentence. www.postgresql.org/docs/current/libpq-connect.html */
export function parsePostgresUrl(text: string): PostgresTarget | string {
  const url = readPostgresUrl(text, { readFile: () => ({ problem: 'is not read here' }) })
  return typeof url === 'string' ? url : url.target
}

/** The same, with what was in it beside the target, and with the files that it names. */
export function readPostgresUrl(text: string, around: Surroundings): PostgresUrl | string {
  const url = splitUrl(text.replace(/^jdbc:/i, ''), (name) => OURS.has(name) || OTHERS.test(name))
  if (typeof url === 'string') return url
  if (!url) return FORM
  if (!SCHEMES.test(url.scheme)) return `${otherDatabase(url.scheme)}${FORM}`
  const place = placeOf(url.authority)
  if (typeof place === 'string') return place
  const said = valuesIn(url.parameters)
  if (typeof said === 'string') return said
  const one = (what: string, ...values: (string | undefined)[]) => onlyOne(what, [...values, said.get(what)])
  const host = one('host', place?.host ?? socketIn(url.authority))
  const port = one('port', place?.port?.toString())
  const user = one('user', url.user)
  const password = one('password', url.password)
  const database = one('dbname', databaseIn(url.path))
  for (const value of [host, port, user, password, database]) if (value?.problem) return value.problem
  if (!host?.value || !user?.value || !database?.value) return FORM
  if (port?.value !== undefined && !isPort(port.value))
    return 'has a port that is not a number from 1 to 65535'
  const security = securityOf(said, host.value, around)
  if (typeof security === 'string') return security
  const refused = refusedOf(said)
  if (refused) return refused
  const options = said.get('options')
  return {
    target: {
      host: host.value,
      port: Number(port?.value ?? 5432),
      user: user.value,
      ...(password?.value && { password: password.value }),
      database: database.value,
      ...security.target,
      ...(options && { options }),
      ...(said.get('channel_binding') === 'require' && { channelBinding: true }),
    },
    unused: [...said.keys()].filter((name) => !OURS.has(name)),
    warnings: security.warnings,
  }
}

const NAMES: Readonly<Record<string, string>> = { mysql: 'MySQL', mariadb: 'MariaDB', mssql: 'SQL Server' }

function otherDatabase(scheme: string): string {
  if (/^prisma/.test(scheme))
    return 'is an address of Prisma’s, which only Prisma speaks; the database’s own '
  const [base = ''] = scheme.split('+')
  const name = NAMES[base] ?? (/^[a-z]{2,20}$/.test(base) ? base : undefined)
  return name ? `is for ${name}, and only PostgreSQL is known: unset it for SQLite in DATA_DIR, else it ` : ''
}

function valuesIn(parameters: UrlText['parameters']): Map<string, string> | string {
  const said = new Map<string, string>()
  for (const [name, value] of parameters) {
    if (value === '') continue
    if (said.has(name) && said.get(name) !== value) return `has two values for ${shown(name)}: leave one out`
    said.set(name, value)
  }
  return said
}

function onlyOne(what: string, values: readonly (string | undefined)[]) {
  const given = new Set(values.filter((value) => value !== undefined && value !== ''))
  if (given.size > 1) return { value: undefined, problem: `has two values for the ${what}: leave one out` }
  return { value: [...given][0], problem: undefined }
}

/** The directory of a socket, as it must be written in the place of a host: %2Fvar%2Frun%2Fpostgresql. */
function socketIn(authority: string): string | undefined {
  const decoded = /%2f/i.test(authority) ? decode(authority) : ''
  return decoded?.startsWith('/') ? decoded : undefined
}

const databaseIn = (path: string) => (/^\/[^/]+$/.test(path) ? decode(path.slice(1)) : undefined)

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

function securityOf(said: ReadonlyMap<string, string>, host: string, around: Surroundings) {
  const mode = modeOf(said, host.startsWith('/') || isThisMachine(host) ? undefined : around.sslmode)
  if (typeof mode === 'string') return mode
  const files = { ca: said.get('sslrootcert'), cert: said.get('sslcert'), key: said.get('sslkey') }
  if ((files.cert === undefined) !== (files.key === undefined))
    return 'has one of sslcert and sslkey, which belong together; an authority’s certificate is sslrootcert'
  const isSystem = files.ca === 'system'
  const read = new Map<string, string>()
  for (const [name, path] of Object.entries(files)) {
    if (path === undefined || (name === 'ca' && isSystem)) continue
    const found = around.readFile(path)
    if ('problem' in found)
      return `has a file for ${name === 'ca' ? 'sslrootcert' : `ssl${name}`} that ${found.problem}`
    read.set(name, found.text)
  }
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => read.get(name))
  const passphrase = said.get('sslpassword')
  return {
    target: {
      tls: tlsOf(mode, host, { hasCa: ca !== undefined, isSystem }),
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined &&
        key !== undefined && { client: { cert, key, ...(passphrase && { passphrase }) } }),
    },
    warnings: mode.word === 'no-verify' ? [UNVERIFIED] : [],
  }
}

/** As libpq: an authority that is given is asked with `require`, too, and the system's only for the host's own name. */
function tlsOf(
  mode: { word?: string | undefined },
  host: string,
  of: { hasCa: boolean; isSystem: boolean },
): PostgresTls {
  if (host.startsWith('/')) return 'off' // as libpq: a socket has no TLS
  if (mode.word === undefined) {
    if (of.isSystem) return 'verified'
    if (of.hasCa) return 'verified-authority'
    return isThisMachine(host) ? 'off' : 'preferred'
  }
  const tls = MODES.get(mode.word) ?? 'off'
  if (mode.word === 'require' && of.isSystem) return 'verified'
  return mode.word === 'require' && of.hasCa ? 'verified-authority' : tls
}

/** The word for sslmode, from what other libraries have for it as well; or a sentence. */
function modeOf(
  said: ReadonlyMap<string, string>,
  byEnvironment: string | undefined,
): { word?: string | undefined } | string {
  const words = [
    said.get('sslmode')?.toLowerCase(),
    ...['ssl', 'requiressl'].map((name) => wordFor(said.get(name))),
    said.get('sslaccept') === 'strict' ? 'verify-full' : undefined,
  ].filter((word) => word !== undefined)
  const unknown = words.find((word) => !MODES.has(word))
  if (unknown !== undefined) return `has an sslmode that is not one of ${[...MODES.keys()].join(', ')}`
  const isOff = words.map((word) => MODES.get(word) === 'off')
  if (new Set(isOff).size > 1) return 'says both: with TLS and without'
  const strict = [...MODES.keys()].findLast((word) => word !== 'no-verify' && words.includes(word))
  const word = words.includes('no-verify') && strict === undefined ? 'no-verify' : strict
  if (word !== undefined || byEnvironment === undefined) return { word }
  const mode = byEnvironment.toLowerCase()
  return MODES.has(mode) ? { word: mode } : `needs PGSSLMODE to be one of ${[...MODES.keys()].join(', ')}`
}

function wordFor(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const isOn = yesOrNo(value)
  return isOn === undefined ? value.toLowerCase() : isOn ? 'require' : 'disable'
}

function refusedOf(said: ReadonlyMap<string, string>): string | undefined {
  for (const name of ['schema', 'currentschema'])
    if ((said.get(name) ?? 'public') !== 'public')
      return `has the parameter ${name}: our tables are where the user’s search_path says (ALTER ROLE … SET …)`
  if (/standby|read-only|secondary/i.test(said.get('target_session_attrs') ?? ''))
    return 'has target_session_attrs for a server that is only read: records are written'
  if (said.get('gssencmode') === 'require') return 'has gssencmode=require, and GSSAPI is not known here'
  const unknown = [...said.keys()].find((name) => !OURS.has(name) && !OTHERS.test(name))
  return unknown === undefined
    ? undefined
    : `has the parameter ${shown(unknown)}, which Samovar does not know: leave it out`
}

/** A name, not what was meant as a value. */
const shown = (name: string) => (/^[a-z][a-z0-9_.-]{0,39}$/.test(name) ? name : 'after its ?')
