// Where a Redis is, as a URL says it: redis://[user:password@]host[:port][/database][?tls=true&db=…], rediss:// or
// unix:///path. Each part is honoured, or refused by name, or mentioned as of no account here.
import { isThisMachine, thisMachine } from './environment/this-machine.ts'
import { placeOf, splitUrl, type UrlText, yesOrNo } from './environment/url-text.ts'

/** Where one Redis is and how to get in. */
export interface RedisTarget {
  readonly at:
    | { readonly path: string }
    | { readonly host: string; readonly port: number; readonly tls: boolean }
  readonly database: number
  readonly username?: string
  readonly password?: string
}

export interface RedisUrl {
  readonly target: RedisTarget
  /** Parameters for other clients, which change nothing here. */
  readonly unused: readonly string[]
}

const FORM = 'must look like redis://[user:password@]host[:port][/database] or rediss://…'
const PLAIN = /^(redis|valkey|keydb|tcp)$/
const TLS = /^(rediss|valkeys|(redis|valkey)\+(tls|ssl)|redis-tls|tls)$/
const SOCKET = /^(unix|redis(\+|-)(unix|socket)|valkey\+unix)$/
const SEVERAL = /sentinel|cluster/

/** Parameters by what they say; what is in none of these lists is refused by its name. */
const SAYS = {
  tls: ['tls', 'ssl'],
  database: ['db', 'database', 'dbnum'],
  password: ['password', 'pass', 'auth'],
  username: ['user', 'username'],
}
const OURS = Object.values(SAYS).flat()
/** How long, how often, how many, and under which name: what each client decides for itself. */
const OTHERS = new RegExp(
  '^(family|ip|protocol|resp|version|name|clientname|client_name|client|encoding|charset|decode_?responses|' +
    'virtual_host|no_?delay|socket_type|lib_?name|lib_?version|health_check_interval|single_?connection_?client|' +
    'identity_enabled|string_numbers|abort_?connect|allow_?admin|library|type|' +
    '(max|min)_?.*|.*(timeout|retr|attempt|keep_?alive|pool|idle|lazy|ready|queue|pipelin|delay|backoff|conn_age).*)$',
)
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/prefix/, 'REDIS_PREFIX says it'],
  [/sentinel|cluster|master|replica|role|read_?only|slave/, 'one server is used, and written to'],
  [/ca_?(cert|file)|cacert|ssl_ca|tls_ca/, 'REDIS_CA_FILE says it'],
  [
    /cert|reject|verify|insecure|check_?hostname/,
    'certificates are always checked, by REDIS_CA_FILE if it is set',
  ],
]

/** The target a URL names, or a sentence. www.iana.org/assignments/uri-schemes/prov/redis */
export function parseRedisUrl(text: string): RedisTarget | string {
  const url = readRedisUrl(text)
  return typeof url === 'string' ? url : url.target
}

/** The same, with what was in it beside the target. */
export function readRedisUrl(text: string): RedisUrl | string {
  const url = splitUrl(text, (name) => OURS.includes(name) || OTHERS.test(name))
  if (typeof url === 'string') return url
  if (!url) return /^\/(?!\/)/.test(text) ? 'must begin with unix:// for a socket' : FORM
  if (SEVERAL.test(url.scheme))
    return 'is of Sentinel or a cluster, and one server is used: name it, as redis://…'
  if (/^https?$/.test(url.scheme))
    return `is an address of HTTP: ${FORM}. Upstash and Vercel show that one beside it, as the Redis URL`
  if (SOCKET.test(url.scheme)) return socketOf(url)
  if (!PLAIN.test(url.scheme) && !TLS.test(url.scheme)) return FORM
  const place = placeOf(url.authority)
  if (typeof place === 'string') return place
  if (!place) return FORM
  if (!/^\/?\d{0,3}$/.test(url.path)) return 'must end with a database number, such as /0'
  const said = saidBy(url)
  if (typeof said === 'string') return said
  const byScheme = TLS.test(url.scheme)
  if (byScheme && said.tls === false) return 'says TLS at its beginning and not at its end: tls=false'
  return {
    target: {
      at: {
        host: thisMachine(place.host) ?? place.host,
        port: place.port ?? 6379,
        tls: said.tls ?? byScheme,
      },
      ...said.rest,
    },
    unused: said.unused,
  }
}

export interface RedisHost {
  readonly host: string
  readonly port?: number
  /** Where the whole URL stands in the place of a host. */
  readonly url?: RedisUrl
}

/** A host, as it is meant where only a host belongs: with a port, in brackets, or as a whole URL. */
export function parseRedisHost(text: string): RedisHost | string {
  const inner = text.replace(/^tcp:\/\//i, '')
  if (inner.includes('://')) {
    const url = readRedisUrl(/^tls:/i.test(inner) ? inner.replace(/^tls:/i, 'rediss:') : inner)
    if (typeof url === 'string') return `must be a host name or an address; as a URL it ${url}`
    return { host: 'path' in url.target.at ? url.target.at.path : url.target.at.host, url }
  }
  if (/^::1:\d{4,5}$/.test(inner)) return 'must have brackets around an address before a port: [::1]:6379'
  // An address of IPv6 without brackets has no port.
  const authority = /^[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*$/i.test(inner) ? `[${inner}]` : inner
  const place = placeOf(authority)
  if (typeof place === 'string') return place
  if (!place) return 'must be a host name or an address'
  return {
    host: thisMachine(place.host) ?? place.host,
    ...(place.port !== undefined && { port: place.port }),
  }
}

function socketOf(url: UrlText): RedisUrl | string {
  if (url.authority !== '' || url.path.length < 2) return 'must have three slashes: unix:///path'
  if (/%(?![0-9a-f]{2})/i.test(url.path)) return 'has a stray % in its path: write it as %25'
  const said = saidBy({ ...url, path: '' })
  if (typeof said === 'string') return said
  const path = decoded(url.path)
  if (path === undefined) return 'has a path that is not UTF-8 in its %: write it anew'
  return { target: { at: { path }, ...said.rest }, unused: said.unused }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

function saidBy({ user, password, path, parameters }: UrlText) {
  const tlsWords = valuesOf(parameters, SAYS.tls)
  const isTls = tlsWords.map((word) => yesOrNo(word))
  if (isTls.includes(undefined)) return 'has tls= or ssl= with something else than true or false'
  if (new Set(isTls).size > 1) return 'says both: tls=true and tls=false'
  const said = {
    database: [path.replace('/', ''), ...valuesOf(parameters, SAYS.database)].filter((one) => one !== ''),
    username: [...(user ? [user] : []), ...valuesOf(parameters, SAYS.username)],
    password: [...(password ? [password] : []), ...valuesOf(parameters, SAYS.password)],
  }
  for (const [what, values] of Object.entries(said))
    if (new Set(values).size > 1) return `has two values for the ${what}: leave one out`
  const [database = '0'] = said.database
  if (!/^\d{1,3}$/.test(database)) return 'must have a database number, such as db=0'
  const others = parameters.map(([name]) => name).filter((name) => !OURS.includes(name))
  const refused = others.find((name) => !isOfNoAccount(name, parameters))
  if (refused !== undefined) return `has the parameter ${shown(refused)}: ${adviceOn(refused)}`
  return {
    tls: isTls[0],
    rest: {
      database: Number(database),
      ...(said.username[0] && { username: said.username[0] }),
      ...(said.password[0] && { password: said.password[0] }),
    },
    unused: others,
  }
}

const valuesOf = (parameters: UrlText['parameters'], names: readonly string[]) =>
  parameters.filter(([name, value]) => names.includes(name) && value !== '').map(([, value]) => value)

/** That certificates are to be checked is what happens anyway. */
function isOfNoAccount(name: string, parameters: UrlText['parameters']): boolean {
  if (/cert_?reqs/.test(name))
    return parameters.every(([own, value]) => own !== name || /required$/i.test(value))
  return OTHERS.test(name) && !ADVICE.some(([pattern]) => pattern.test(name))
}

const adviceOn = (name: string) =>
  `${ADVICE.find(([pattern]) => pattern.test(name))?.[1] ?? 'Samovar does not know it'}; leave it out`

/** A name, not what was meant as a value. */
const shown = (name: string) => (/^[a-z][a-z0-9_.-]{0,39}$/.test(name) ? name : 'after its ?')

/** Whether the target is on this machine. */
export const isLoopback = ({ at }: RedisTarget): boolean => 'path' in at || isThisMachine(at.host)
