// The app as a process: how it starts, what it says when it cannot, and how it stops.
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { createServer } from 'node:net'
import { removeProcesses, spawnApp, spawnSource } from '../helpers/app-process.ts'
import { eventually } from '../helpers/eventually.ts'

afterAll(removeProcesses)

test('an unusable configuration ends with 78 and every problem, whether the app or the image asks', async () => {
  for (const file of ['main.ts', 'cli/embedded.ts']) {
    const { said, ended } = spawnSource(file, {
      PORT: 'eighty',
      CACHE_TTL_HOURS: 'long',
      REDIS_URL: 'localhost',
    })
    expect(await ended).toBe(78)
    for (const name of ['PORT', 'CACHE_TTL_HOURS', 'REDIS_URL'])
      expect(said.err).toContain(`  - ${name} must`)
  }
})

test('a port that is taken ends with 78 and one clear line', async () => {
  const other = createServer().listen(0)
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const { said, ended } = spawnSource('main.ts', { PORT: String(port), ADMIN_TOKEN: 'long-enough' })
  expect(await ended).toBe(78)
  other.close()
  expect(said.out.trim().split('\n')).toHaveLength(1)
  expect(said.out).toContain(`port ${port} is taken`)
  expect(said.err).toBe('')
})

test('says where the admin token is, and warns of a variable that is nearly ours', async () => {
  const { child, said, ended } = await spawnApp({ REDIS_URl: 'x' })
  expect(said.out).toMatch(/admin token: in \/.*\/admin-token; .*samovar token/)
  expect(said.out).toContain('did you mean REDIS_URL?')
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s under load: exit 0, and no answer is cut short',
  async (signal) => {
    const { child, ended, port } = await spawnApp()
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    const outcomes = { whole: 0, refused: 0, broken: [] as string[] }
    let stopping = false

    const ask = () =>
      new Promise<void>((resolve) => {
        get({ port, path: '/api/countries', agent }, (res) => {
          let bytes = 0
          res.on('data', (chunk: Buffer) => {
            bytes += chunk.length
          })
          res.on('close', () => {
            if (res.complete && bytes === Number(res.headers['content-length'])) outcomes.whole += 1
            else outcomes.broken.push(`${bytes} of ${res.headers['content-length']} bytes`)
            resolve()
          })
        }).on('error', (error: NodeJS.ErrnoException) => {
          if (stopping && error.code === 'ECONNREFUSED') outcomes.refused += 1
          else outcomes.broken.push(`${error.code} ${error.message}`)
          resolve()
        })
      })
    const client = async () => {
      while (outcomes.refused < 20) await ask()
    }
    const clients = Array.from({ length: 20 }, client)
    await eventually(() => expect(outcomes.whole).toBeGreaterThan(200))
    stopping = true
    child.kill(signal)
    expect(await ended).toBe(0)
    await Promise.all(clients)
    agent.destroy()
    expect(outcomes.broken).toEqual([])
  },
)
