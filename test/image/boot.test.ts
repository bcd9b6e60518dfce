// A container with no configuration at all: it works, with true stats, and gives away nothing.
import { readFileSync } from 'node:fs'
import { bootReady, createVolume, removeAll, type Samovar } from '../helpers/image.ts'

const SENTINEL = 'sentinel-7f3a9c51'
let samovar: Samovar

beforeAll(async () => {
  // A password for the cache server, a token, and the two names that pm2 would take for keys of its cloud.
  samovar = await bootReady({
    volume: await createVolume(),
    env: {
      REDIS_URL: `redis://:${SENTINEL}-%22%25-redis@localhost:6380/3`,
      SECRET_KEY: `${SENTINEL}-key`,
      PUBLIC_KEY: `${SENTINEL}-public`,
      ADMIN_TOKEN: `${SENTINEL}-token-with-some-length`,
    },
  })
})
afterAll(removeAll)

test('without configuration two reads of the countries are one miss and one hit, from Redis', async () => {
  const plain = await bootReady()
  const before = await plain.stats()
  expect(before).toMatchObject({ backend: 'redis', status: 'redis', mode: 'embedded' })
  expect((await plain.get('/api/countries')).status).toBe(200)
  expect((await plain.get('/api/countries')).status).toBe(200)
  const after = await plain.stats()
  expect([after.misses - before.misses, after.hits - before.hits]).toEqual([1, 1])
  expect(after.fileAlerts).toEqual([]) // a first start, though Redis may have made its files before us
  expect(await (await plain.get('/readyz')).json()).toMatchObject({ status: 'pass' })
})

test('a volume that arrives owned by root is handed to the user of the app', async () => {
  expect(await samovar.exec('stat -c %U /data')).toBe('samovar')
})

test('only the port of the app is open to others, and the cache server is where REDIS_URL says', async () => {
  const listening = await samovar.exec('cat /proc/net/tcp /proc/net/tcp6 | awk \'$4 == "0A" { print $2 }\'')
  const open = listening.split('\n').map((address) => {
    const [host = '', port = ''] = address.split(':')
    return { local: host === '0100007F' || /^0+10*$/.test(host.slice(16)), port: Number.parseInt(port, 16) }
  })
  expect(open.filter(({ local }) => !local).map(({ port }) => port)).toEqual([8080])
  expect(open.filter(({ local }) => local).map(({ port }) => port)).toEqual([6380])
})

test('secrets are not in logs, arguments, files, or the environment of Redis', async () => {
  expect(await samovar.text()).not.toContain(SENTINEL)
  expect(await samovar.exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).not.toContain(SENTINEL)
  const ofRedis = await samovar.exec(
    `for name in cache state; do grep -ao '${SENTINEL}' /proc/$(cat /run/samovar/redis-$name.pid)/environ; done`,
    'samovar-redis',
  )
  const inFiles = await samovar.exec(
    `grep -rl '${SENTINEL}' /data /tmp /app/dist /etc /run/samovar /var 2>/dev/null | grep -v redis-cache.conf`,
  )
  expect([ofRedis, inFiles]).toEqual(['', ''])
  // The one place the password has to be is readable for nobody else.
  expect(await samovar.exec('stat -c "%U %a" /run/samovar/redis /run/samovar/redis/redis-cache.conf')).toBe(
    'samovar-redis 750\nsamovar-redis 640',
  )
})

test('the health check of the image passes', async () => {
  expect(await samovar.exec('python3 -I -S /app/image/healthcheck; echo code $?')).toContain('code 0')
})

test('the stop budgets of all programs fit into the ten seconds of a container', () => {
  const budgets = [...readFileSync('supervisord.conf', 'utf8').matchAll(/^stopwaitsecs=(\d+)$/gm)]
  expect(budgets).toHaveLength(4)
  expect(budgets.reduce((sum, [, seconds]) => sum + Number(seconds), 0)).toBeLessThanOrEqual(8)
})
