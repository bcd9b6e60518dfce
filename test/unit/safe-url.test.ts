// Which addresses a user may make this server call, and each known way around the rule.
import { lookup } from 'node:dns/promises'
import { isPublicAddress } from '../../src/features/alerts/delivery/public-address.ts'
import {
  createResolve,
  createSafeLookup,
  parseSafeUrl,
  UnsafeAddress,
} from '../../src/features/alerts/delivery/safe-url.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { startNameServer } from '../helpers/name-server.ts'

describe('public addresses', () => {
  test.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '192.0.1.1',
    '223.255.255.255',
  ])('%s', (address) => expect(isPublicAddress(address)).toBe(true))
  test.each([
    '2606:4700:4700::1111',
    '2a00:1450:4001:82b::200e',
    '64:ff9b::808:808',
    '::ffff:8.8.8.8',
    '::ffff:808:808',
  ])('%s', (address) => expect(isPublicAddress(address)).toBe(true))
})

test.each([
  '0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.100.100.200', '127.0.0.1', '127.255.255.254',
  '169.254.169.254', '169.254.170.2', '172.16.0.1', '172.31.255.255', '192.0.0.192', '192.0.2.1', '192.168.1.1',
  '198.18.0.1', '198.51.100.7', '203.0.113.9', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255',
  '168.63.129.16',
  '::', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::ffff:169.254.169.254', '::127.0.0.1',
  '64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::808:808', '100::1', '2001::1', '2001:db8::1', '2002:7f00:1::',
  'fc00::1', 'fd00:ec2::254', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'ff02::1', '3fff::1', '4000::1',
  'localhost', '', '8.8.8',
])('%s is not public', (address) => {
  expect(isPublicAddress(address)).toBe(false)
}) // biome-ignore format: a table

test.each([
  'https://hooks.example.com/alerts?x=1',
  'https://hooks.example.com:8443/',
  'https://8.8.8.8/',
  'https://[2606:4700:4700::1111]/',
  'https://пример.рф/',
])('%s may be called', (url) => {
  expect(parseSafeUrl(url)).toBeInstanceOf(URL)
})

test.each([
  ['', 'must be a URL'],
  ['hooks.example.com', 'must be a URL'],
  ['http://hooks.example.com/', 'must begin with https://'],
  ['ftp://hooks.example.com/', 'must begin with https://'],
  ['file:///etc/passwd', 'must begin with https://'],
  ['https://user:password@hooks.example.com/', 'may not hold a name or a password'],
  ['https://hooks.example.com@127.0.0.1/', 'may not hold a name or a password'],
  ['https://127.0.0.1/', 'must be a public address'],
  ['https://2130706433/', 'must be a public address'],
  ['https://0x7f000001/', 'must be a public address'],
  ['https://0177.0.0.1/', 'must be a public address'],
  ['https://127.1/', 'must be a public address'],
  ['https://0/', 'must be a public address'],
  ['https://①②⑦.0.0.1/', 'must be a public address'],
  ['https://169.254.169.254/latest/meta-data/', 'must be a public address'],
  ['https://[::1]/', 'must be a public address'],
  ['https://[::ffff:127.0.0.1]/', 'must be a public address'],
  ['https://[64:ff9b::169.254.169.254]/', 'must be a public address'],
  ['https://[fd00:ec2::254]/', 'must be a public address'],
  ['https://localhost/', 'must be a public name'],
  ['https://localhost./', 'must be a public name'],
  ['https://LOCALHOST/', 'must be a public name'],
  ['https://redis/', 'must be a public name'],
  ['https://app.localhost/', 'must be a public name'],
  ['https://metadata.google.internal/', 'must be a public name'],
  ['https://printer.local/', 'must be a public name'],
  [`https://hooks.example.com/${'x'.repeat(2_000)}`, 'may have at most 2000 characters'],
])('%s is refused: %s', (url, reason) => {
  expect(parseSafeUrl(url)).toBe(reason)
})

describe('the lookup', () => {
  const looked = (...addresses: string[]) =>
    new Promise((resolve, reject) => {
      const resolveName = async () =>
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      createSafeLookup(resolveName)('name.example', { all: true }, (error, found) =>
        error ? reject(error) : resolve(found),
      )
    })

  test('gives what it has checked', async () => {
    await expect(looked('8.8.8.8', '2606:4700:4700::1111')).resolves.toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2606:4700:4700::1111', family: 6 },
    ])
  })

  test.each([[['127.0.0.1']], [['8.8.8.8', '10.0.0.1']], [['8.8.8.8', '::1']], [[]]])(
    'refuses %j',
    async (addresses) => {
      await expect(looked(...addresses)).rejects.toBeInstanceOf(UnsafeAddress)
    },
  )
})

describe('names', () => {
  const { signal } = new AbortController()

  test('are asked for in both families; one of them is enough', async () => {
    const servers = await Promise.all([
      startNameServer({ 4: [[8, 8, 8, 8]], 6: [[0x2a, 0, ...Array(13).fill(0), 1]] }),
      startNameServer({ 4: [[8, 8, 4, 4]] }),
      startNameServer({}),
    ])
    const [both, old, none] = servers.map(({ address }) =>
      createResolve([address])('hooks.example.com', signal),
    )
    await expect(both).resolves.toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2a00::1', family: 6 },
    ])
    await expect(old).resolves.toEqual([{ address: '8.8.4.4', family: 4 }])
    await expect(none).rejects.toMatchObject({ code: 'ENODATA' })
    for (const { close } of servers) close()
  })

  test('of a silent name server keep nobody waiting, and end when nobody waits for them', async () => {
    const silent = await startNameServer(undefined)
    const over = new AbortController()
    const resolve = createResolve([silent.address])
    const asking = Array.from({ length: 16 }, (_, i) => resolve(`hook-${i}.example.com`, over.signal))
    const ended = Promise.allSettled(asking)
    await eventually(() => expect(silent.asked()).toBeGreaterThanOrEqual(16))
    const { tookMs } = await timed(async () => {
      await lookup('localhost')
      over.abort()
      expect((await ended).every(({ status }) => status === 'rejected')).toBe(true)
    })
    expect(tookMs).toBeLessThan(1_000) // a question is given up after two seconds, and by the system after more
    await expect(resolve('hook.example.com', signal)).rejects.toMatchObject({ code: 'ETIMEOUT' })
    silent.close()
  })
})
