// The app as a process: how it starts, what it says when it cannot, and how it stops.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/redis-server.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
const started: ChildProcess[] = []
afterAll(() => {
  for (const child of started) child.kill('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

/** Runs src/<file> as Node runs it in development, with nothing of our own environment but the path. */
function run(file: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [join('src', file)], {
    env: { PATH: process.env.PATH ?? '', DATA_DIR: dataDir, REDIS_URL: 'off', ...env },
  })
  started.push(child)
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk) => {
    said.out += chunk
  })
  child.stderr.on('data', (chunk) => {
    said.err += chunk
  })
  const ended = once(child, 'close').then(([code]) => code as number)
  return { child, said, ended }
}

async function runApp(env: Record<string, string> = {}) {
  const port = await freePort()
  const app = run('main.ts', { PORT: String(port), ...env })
  await eventually(() => expect(app.said.out).toContain('listening'), 20_000)
  return { ...app, port }
}

test('an unusable configuration ends with 78 and every problem, whether the app or the image asks', async () => {
  for (const file of ['main.ts', 'cli/embedded.ts']) {
    const { said, ended } = run(file, { PORT: 'eighty', CACHE_TTL_HOURS: 'long', REDIS_URL: 'localhost' })
    expect(await ended).toBe(78)
    for (const name of ['PORT', 'CACHE_TTL_HOURS', 'REDIS_URL'])
      expect(said.err).toContain(`  - ${name} must`)
  }
})

test('a port that is taken ends with 1 and one clear line', async () => {
  const other = createServer().listen(0)
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const { said, ended } = run('main.ts', { PORT: String(port), ADMIN_TOKEN: 'long-enough' })
  expect(await ended).toBe(1)
  other.close()
  expect(said.out.trim().split('\n')).toHaveLength(1)
  expect(said.out).toContain(`port ${port} is taken`)
  expect(said.err).toBe('')
})

test('warns of an open admin endpoint and of a variable that is nearly ours', async () => {
  const { child, said, ended } = await runApp({ REDIS_URl: 'x' })
  expect(said.out).toContain('ADMIN_TOKEN is not set')
  expect(said.out).toContain('did you mean REDIS_URL?')
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s under load: exit 0, and no answer is cut short',
  async (signal) => {
    const { child, ended, port } = await runApp()
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
