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
  const samovar = await boot({ user: '1000', volume: await createVolume(), env: { DATA_DIR: '/proc' } })
  expect(await samovar.exitCode()).toBe(78)
  const lines = (await samovar.log()).map(({ text }) => text)
  expect(lines).toEqual([expect.stringMatching(/^samovar: \/proc is not writable for user 1000: .+/)])
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

test('REDIS_URL=off starts neither server, and an unreachable external Redis starts none either', async () => {
  for (const url of ['off', 'redis://10.255.255.1:6379']) {
    const samovar = await boot({ env: { REDIS_URL: url } })
    await samovar.status('memory')
    expect((await samovar.get('/api/countries')).status).toBe(200)
    expect(await samovar.exec('cat /proc/[0-9]*/comm | grep -c redis-server')).toBe('0')
  }
})
