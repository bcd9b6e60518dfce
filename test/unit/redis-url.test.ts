import { isThisMachine, thisMachine } from '../../src/lib/environment/this-machine.ts'
import { parseRedisHost, readRedisUrl } from '../../src/lib/redis-url.ts'

const read = (text: string) => {
  const url = readRedisUrl(text)
  if (typeof url === 'string') return url
  const { at, ...rest } = url.target
  return { ...at, ...rest, ...(url.unused.length > 0 && { unused: url.unused }) }
}
const PLAIN = { host: 'h', port: 6379, tls: false, database: 0 }

test.each<[string, object]>([
  ['redis://h', PLAIN],
  ['REDIS://h:6380/3', { ...PLAIN, port: 6380, database: 3 }],
  ['redis://h/', PLAIN],
  ['rediss://h', { ...PLAIN, tls: true }],
  ['redis+tls://h', { ...PLAIN, tls: true }],
  ['redis+ssl://h', { ...PLAIN, tls: true }],
  ['valkey://h', PLAIN],
  ['valkeys://h', { ...PLAIN, tls: true }],
  ['redis://h?tls=true&db=3', { ...PLAIN, tls: true, database: 3 }],
  ['redis://h/3?ssl=1', { ...PLAIN, tls: true, database: 3 }],
  ['redis://h/3?db=3', { ...PLAIN, database: 3 }],
  ['redis://h?TLS=yes', { ...PLAIN, tls: true }],
  ['rediss://h?tls=true', { ...PLAIN, tls: true }],
  ['redis://h?password=p%23+s&user=u', { ...PLAIN, username: 'u', password: 'p#+s' }],
  ['redis://u@h?password=p@x', { ...PLAIN, username: 'u', password: 'p@x' }],
  ['redis://u:p%40%2F%3F%23:s@h', { ...PLAIN, username: 'u', password: 'p@/?#:s' }],
  ['redis://:p@ss@h', { ...PLAIN, password: 'p@ss' }],
  ['redis://:p"s\\s^{}|@h', { ...PLAIN, password: 'p"s\\s^{}|' }],
  [
    'redis://h?family=0&connectTimeout=5000&maxRetriesPerRequest=3',
    { ...PLAIN, unused: ['family', 'connecttimeout', 'maxretriesperrequest'] },
  ],
  ['rediss://h?ssl_cert_reqs=CERT_REQUIRED', { ...PLAIN, tls: true, unused: ['ssl_cert_reqs'] }],
  ['redis://[fd00::2]:6380', { ...PLAIN, host: 'fd00::2', port: 6380 }],
  ['unix:///run/redis.sock', { path: '/run/redis.sock', database: 0 }],
  ['unix:///run/redis.sock?db=2&password=p', { path: '/run/redis.sock', database: 2, password: 'p' }],
  ['redis+unix:///run/redis.sock', { path: '/run/redis.sock', database: 0 }],
])('%s is understood', (text, expected) => {
  expect(read(text)).toEqual(expected)
})

test.each<[string, string]>([
  ['redis://default:12#34@h.example:6379', 'has # in its user or password: write it as %23'],
  ['redis://default:12?34@h.example:6379', 'has ? in its user or password: write it as %3F'],
  ['redis://default:12/34@h.example:6379', 'has / in its user or password: write it as %2F'],
  ['redis://default:p#s/s@h', 'has # and / in its user or password: write them as %23 and %2F'],
  ['redis://:a?db=1@h', 'has ? in its user or password: write it as %3F'],
  ['redis://h/0#prod', 'has a #: write it as %23'],
  ['redis://:50%@h', 'has a user or password with a stray %: write it as %25'],
  ['redis://h/one', 'must end with a database number'],
  ['redis://h?db=one', 'must have a database number'],
  ['redis://h/1?db=2', 'has two values for the database'],
  ['redis://:a@h?password=b', 'has two values for the password'],
  ['rediss://h?tls=false', 'says TLS at its beginning and not at its end'],
  ['redis://h?tls=perhaps', 'has tls= or ssl= with something else'],
  ['redis://h?tls=true&ssl=false', 'says both'],
  ['rediss://h?ssl_cert_reqs=none', 'has the parameter ssl_cert_reqs: certificates are always checked'],
  [
    'rediss://h?rejectUnauthorized=false',
    'has the parameter rejectunauthorized: certificates are always checked',
  ],
  ['rediss://h?ssl_ca_certs=/ca.pem', 'has the parameter ssl_ca_certs: REDIS_CA_FILE says it'],
  ['redis://h?keyPrefix=app:', 'has the parameter keyprefix: REDIS_PREFIX says it'],
  ['redis://h?sentinelMasterId=m', 'has the parameter sentinelmasterid: one server is used'],
  ['redis://h?unheard_of=1', 'has the parameter unheard_of: Samovar does not know it'],
  ['redis://a:6379,b:6379', 'names several hosts'],
  ['redis+sentinel://h:26379/mymaster', 'is of Sentinel or a cluster'],
  ['https://eu1-x.upstash.io', 'is an address of HTTP'],
  ['redis://h:70000', 'has a port that is not a number from 1 to 65535'],
  ['redis://h:port', 'has a port that is not a number from 1 to 65535'],
  ['redis://:6379', 'must look like redis://'],
  ['redis:6379', 'must look like redis://'],
  ['memcached://h', 'must look like redis://'],
  ['unix://run/redis.sock', 'must have three slashes'],
])('%s is refused by name', (text, sentence) => {
  expect(read(text)).toContain(sentence)
})

test('a sentence repeats no secret', () => {
  for (const text of [
    'redis://u:sentinel#x@h',
    'redis://h?sentinel=1&x@y',
    'redis://u:sentinel?q@h',
    'redis://:sentinel%@h',
  ])
    expect(String(read(text)).replace('has the parameter sentinel:', '')).not.toContain('sentinel')
})

test.each<[string, object | string]>([
  ['redis', { host: 'redis' }],
  ['redis:6380', { host: 'redis', port: 6380 }],
  ['tcp://10.0.0.2:6380', { host: '10.0.0.2', port: 6380 }],
  ['fd00::2', { host: 'fd00::2' }],
  ['[fd00::2]:6380', { host: 'fd00::2', port: 6380 }],
  ['127.1', { host: '127.0.0.1' }],
  ['redis:port', 'has a port that is not a number'],
  ['u@redis', 'must be a host name or an address'],
  ['redis/0', 'must be a host name or an address'],
  ['a,b', 'names several hosts'],
])('as a host %s is %j', (text, expected) => {
  const host = parseRedisHost(text)
  if (typeof expected === 'string') expect(host).toContain(expected)
  else expect(host).toEqual(expected)
})

test('a whole URL in the place of a host is taken for one', () => {
  expect(parseRedisHost('rediss://:p@h:6380/1')).toMatchObject({
    url: { target: { at: { host: 'h', port: 6380, tls: true }, database: 1, password: 'p' } },
  })
  expect(parseRedisHost('tls://h')).toMatchObject({ url: { target: { at: { tls: true } } } })
})

test('this machine has many names', () => {
  for (const host of ['localhost', 'LOCALHOST', 'localhost.', 'localhost.localdomain', 'redis.localhost'])
    expect([host, thisMachine(host)]).toEqual([host, 'localhost'])
  for (const host of [
    '127.0.0.1',
    '127.1',
    '0.0.0.0',
    '0',
    '0x7f.1',
    '2130706433',
    '::ffff:127.0.0.1',
    '[::ffff:7f00:1]',
  ])
    expect([host, thisMachine(host)]).toEqual([host, '127.0.0.1'])
  for (const host of ['::1', '[::1]', '::', '0:0:0:0:0:0:0:1', 'ip6-localhost'])
    expect([host, thisMachine(host)]).toEqual([host, '::1'])
  expect(thisMachine('127.0.0.5')).toBe('127.0.0.5')
  for (const host of [
    'redis',
    '10.0.0.1',
    '128.0.0.1',
    'localhost.example',
    '127.0.0.1.nip.io',
    '::2',
    'notlocalhost',
  ])
    expect([host, isThisMachine(host)]).toEqual([host, false])
})
