// What the container says, and ends with, when it cannot work as it was configured; and the unusual ways in which it
// can.
import { boot, bootReady, createVolume, removeAll } from '../helpers/image.ts'

afterAll(removeAll)

test('a wrong configuration ends with 78, all problems in the log, before pm2 or Redis start', async () => {
  const samovar = await boot({ env: { PORT: 'eighty', REDIS_TTL: '-1', CACHE_ENABLED: 'perhaps' } })
  expect(await samovar.exitCode()).toBe(78)
  const log = await samovar.text()
  for (const name of ['PORT', 'REDIS_TTL', 'CACHE_ENABLED']) expect(log).toContain(name)
  expect(log).not.toMatch(/PM2|supervisord|redis-cache/)
})

test('a data directory that cannot be written ends with 78 and one sentence', async () => {
  const samovar = await boot({ user: '1000', volume: await createVolume(), env: { DATA_DIR: '/opt' } })
  expect(await samovar.exitCode()).toBe(78)
  const lines = (await samovar.log()).map(({ text }) => text)
  // A warning that it is no volume comes before.
  expect(lines.filter((line) => line.startsWith('samovar: '))).toEqual([
    expect.stringMatching(/^samovar: \/opt is not writable for user 1000: .+/),
  ])
})

test('with --user 1000 it works', async () => {
  const samovar = await bootReady({ user: '1000' })
  expect((await samovar.get('/api/countries')).status).toBe(200)
  expect((await samovar.stop()).code).toBe(0)
})

test('with a read-only root it works on a tmpfs for /tmp and /run, and without says what it needs', async () => {
  const volume = await createVolume()
  const bare = await boot({ readOnlyWith: [], volume })
  expect(await bare.exitCode()).toBe(78)
  expect(await bare.text()).toContain('--tmpfs /run')

  const samovar = await bootReady({ readOnlyWith: ['/tmp', '/run'], volume })
  expect((await samovar.get('/api/countries')).status).toBe(200)
})

test('values as --env-file keeps them mean the same to all parts; more processes than the memory is for are fewer', async () => {
  const samovar = await bootReady({
    volume: await createVolume(),
    env: {
      DATA_DIR: '"/data/my \\"own\\" app" # on the volume',
      PORT: "'8080'\n",
      REDIS_URL: '"redis://0.0.0.0:6390/0"',
      REDIS_PASSWORD: 'sentinel\n',
      WEB_CONCURRENCY: '64',
      LOG_FORMAT: 'combined',
    },
  })
  await samovar.status('redis')
  expect(await samovar.exec('python3 -I -S /app/image/healthcheck; echo code $?')).toContain('code 0')
  expect(await samovar.exec('ls "/data/my \\"own\\" app"')).toContain('samovar.db')
  expect(await samovar.exec('REDISCLI_AUTH=sentinel redis-cli -p 6390 PING')).toBe('PONG')
  const log = await samovar.text()
  for (const sentence of [
    'read without what stands around',
    'LOG_FORMAT must be',
    'WEB_CONCURRENCY is 64, and',
  ])
    expect(log.split(sentence)).toHaveLength(2)
  expect(log).not.toContain('sentinel')
  expect(log).not.toContain('is no volume')
})

test('a relative data directory, and one that the image needs, end with 78 and one sentence', async () => {
  for (const DATA_DIR of ['./data', '/', '/run/samovar/data']) {
    const samovar = await boot({ env: { DATA_DIR } })
    expect(await samovar.exitCode()).toBe(78)
    expect(await samovar.text()).toMatch(/^The configuration is not usable:\n {2}- DATA_DIR must [^\n]*\n*$/)
  }
})

test('REDIS_URL=off starts neither server, and an unreachable external Redis starts none either', async () => {
  for (const url of ['off', 'redis://10.255.255.1:6379']) {
    const samovar = await boot({ env: { REDIS_URL: url } })
    await samovar.status('memory')
    expect((await samovar.get('/api/countries')).status).toBe(200)
    expect(await samovar.exec('cat /proc/[0-9]*/comm | grep -c redis-server')).toBe('0')
  }
})
