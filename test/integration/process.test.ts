// The app as a process: how it starts, what it says when it cannot, and how it stops.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { removeProcesses, type SpawnOptions, spawnApp, spawnSource } from '../helpers/app-process.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/free-port.ts'

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

describe('the image asks before it starts anything', () => {
  const ask = async (env: Record<string, string>, options?: SpawnOptions) => {
    const { said, ended } = spawnSource('cli/embedded.ts', env, options)
    return { code: await ended, lines: said.err.trim().split('\n'), out: said.out }
  }
  const listening = async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { server, port: (server.address() as AddressInfo).port }
  }
  const refused = (sentence: unknown) => ({
    code: 78,
    lines: ['The configuration is not usable:', sentence],
    out: '',
  })

  test('a port that is taken, by the app’s or by the Redis’ number: one sentence, and 78', async () => {
    const { server, port } = await listening()
    const free = String(await freePort())
    const own = await ask({ PORT: String(port) })
    const redis = await ask({ PORT: free, REDIS_URL: `redis://localhost:${port}` })
    const both = await ask({ PORT: free, REDIS_URL: `redis://127.0.0.1:${free}` })
    server.close()
    expect(own).toEqual(refused(`  - port ${port} is taken by another program: stop it, or set PORT`))
    const redisHas = `  - port ${port} is taken by another program, and the embedded Redis is to have it: give REDIS_URL another one`
    expect(redis).toEqual(refused(redisHas))
    expect(both).toEqual(
      refused(`  - PORT is ${free}, and the Redis on this machine has that port: choose another one`),
    )
  })

  const firstFree = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'))
  if (firstFree <= 80) process.stderr.write('not tried: on this machine everybody may open port 80\n')
  const onRefusal = firstFree > 80 ? test : test.skip

  onRefusal('a port below 1024 without the right to it: one sentence, and 78', async () => {
    for (const file of ['cli/embedded.ts', 'main.ts']) {
      const { said, ended } = spawnSource(file, { PORT: '80' }, { withoutCapabilities: true })
      expect([file, await ended]).toEqual([file, 78])
      const lines = (said.out + said.err)
        .trim()
        .split('\n')
        .filter((line) => line.includes('port'))
      expect(lines).toEqual([expect.stringContaining('port 80 may not be opened here: set PORT')])
      expect(said.out + said.err).not.toMatch(/\n\s+at /) // no stack
    }
  })

  const isRoot = process.getuid?.() === 0
  if (!isRoot) process.stderr.write('not tried: a port below 1024 needs root\n')
  const onRoot = isRoot ? test : test.skip

  onRoot('as root a port below 1024 is opened', async () => {
    const port = await freeLowPort()
    const { code, out } = await ask({ PORT: String(port) })
    expect([code, out]).toEqual([0, expect.stringContaining(`PORT='${port}'`)])
    const app = await spawnApp({ PORT: String(port) })
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200)
    app.child.kill('SIGTERM')
    expect(await app.ended).toBe(0)
  })

  async function freeLowPort(): Promise<number> {
    for (let port = 1_000; port > 900; port -= 1) {
      const server = createServer().listen(port)
      const isFree = await Promise.race([once(server, 'listening').then(() => true), once(server, 'error')])
      server.close()
      if (isFree === true) return port
    }
    throw new Error('no free port below 1024')
  }

  test('the embedded Redis is at 127.0.0.1, however this machine is named: a container may have no IPv6', async () => {
    for (const host of ['::1', '[::1]', 'localhost6', '0.0.0.0', '127.1']) {
      const { code, out } = await ask({
        PORT: String(await freePort()),
        REDIS_URL: '',
        REDIS_HOST: host,
        REDIS_PORT: String(await freePort()),
        SAMOVAR_RUN_DIR: '/run/samovar',
        DATA_DIR: '/mnt/data',
      })
      expect([host, code, out.includes("variant='embedded'"), out.includes('bind')]).toEqual([
        host,
        0,
        true,
        false,
      ])
    }
  })
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
