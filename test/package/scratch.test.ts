// The package as its users have it: packed, put into a project outside this repository, which has nothing but what the
// package says it needs; each import, its types, and the examples for four frameworks, whose Redis is killed.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { transformFile } from '@swc/core'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/free-port.ts'
import { soon } from '../helpers/package-world.ts'
import { startRedis } from '../helpers/redis-server.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const examples = join(root, 'examples/package')
/** What their users install beside it. */
const INSTALLED = [
  '@hono/node-server @nestjs/common @nestjs/core @nestjs/platform-express express express-rate-limit',
  'express-session fastify hono keyv reflect-metadata rxjs socket.io-adapter testcontainers unstorage',
  '@types/express-session @types/node',
]
  .join(' ')
  .split(' ')

/** Node's own word about SQLite. */
const QUIET = ['--disable-warning=ExperimentalWarning']

const scratch = mkdtempSync(join(tmpdir(), 'samovar-scratch-'))
const modules = join(scratch, 'node_modules')
const own = join(modules, 'samovar')
let about: { exports: Record<string, unknown>; dependencies: Record<string, string> }

function link(name: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), join(modules, name))
}

beforeAll(async () => {
  const { stdout } = await run(process.execPath, [join(root, 'scripts/pack.ts'), scratch], { cwd: root })
  mkdirSync(own, { recursive: true })
  await run('tar', ['-xzf', stdout.trim(), '-C', own, '--strip-components=1'])
  about = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'))
  writeFileSync(join(scratch, 'package.json'), '{ "private": true, "type": "module" }')
  Object.keys(about.dependencies).forEach(link)
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

test('needs nothing that only the app needs, and answers in memory', async () => {
  expect(Object.keys(about.dependencies).sort()).toEqual(['@redis/client', 'bullmq', 'node-cache'])
  const program = `
    import { openSamovar } from 'samovar'
    const samovar = openSamovar()
    const { value } = await samovar.cache.getOrLoad('a', { staleMs: 0, parse: (json) => json }, async () => 42)
    await samovar.close()
    console.log(value, samovar.status().status)`
  const { stdout, stderr } = await run(process.execPath, [...QUIET, '--input-type=module', '-e', program], {
    cwd: scratch,
  })
  expect(stdout).toBe('42 memory\n')
  expect(stderr).toBe('')
})

describe('beside the libraries', () => {
  beforeAll(() => INSTALLED.forEach(link))

  test('each path can be imported, and its types are there', async () => {
    const paths = Object.keys(about.exports).filter((path) => path !== './package.json')
    const names = paths.map((path) => path.replace('.', 'samovar'))
    expect(names).toContain('samovar/express-session')
    const program = `for (const name of ${JSON.stringify(names)}) await import(name)`
    await run(process.execPath, ['--input-type=module', '-e', program], { cwd: scratch })
    writeFileSync(
      join(scratch, 'types.ts'),
      `${names.map((name, i) => `import * as m${i} from '${name}'`).join('\n')}
      import { openSamovar } from 'samovar'
      export const all = [${names.map((_, i) => `m${i}`)}]
      const samovar = openSamovar({ redis: 'redis://localhost', log: console })
      export const status: 'redis' | 'memory' | 'merging' = samovar.status().status
      export const allowed: Promise<boolean> = samovar.limiter
        .hit({ name: 'a', limit: 1, windowMs: 1 }, 'b').then((answer) => answer.allowed)
      // @ts-expect-error: a number is no URL
      openSamovar({ redis: 1 })
      // @ts-expect-error: nothing by that name
      samovar.nothing
      `,
    )
    const settings = ['--module', 'nodenext', '--target', 'es2023', '--strict', '--noEmit', '--skipLibCheck']
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, ...settings, '--types', 'node', 'types.ts'], { cwd: scratch }).catch(
      ({ stdout }) => {
        throw new Error(stdout)
      },
    )
  })

  test.each(['express', 'fastify', 'hono', 'nest'])(
    'the example for %s answers while Redis is killed',
    async (name) => {
      const program = join(scratch, `${name}.js`)
      if (name === 'nest') {
        const jsc = { parser: { syntax: 'typescript', decorators: true }, target: 'es2022' } as const
        const { code } = await transformFile(join(examples, 'nest.ts'), {
          jsc: { ...jsc, transform: { legacyDecorator: true } },
          swcrc: false,
        })
        writeFileSync(program, code)
      } else cpSync(join(examples, `${name}.js`), program)
      const [redis, port] = [await startRedis(), await freePort()]
      const env = { ...process.env, PORT: String(port), REDIS_URL: redis.url }
      const app = spawn(process.execPath, [...QUIET, program], {
        cwd: scratch,
        env,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const ended = once(app, 'exit')
      try {
        const ask = async () => {
          const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
          expect(answer.status).toBe(200)
          return (await answer.json()) as { redis: string }
        }
        // Seldom: the examples have limits.
        const untilStatus = (status: string) =>
          eventually(async () => expect((await ask()).redis).toBe(status), undefined, 500)
        await untilStatus('redis')
        await redis.kill()
        for (let i = 0; i < 5; i += 1) await soon(ask)
        await untilStatus('memory')
        await redis.start()
        await untilStatus('redis')
        app.kill('SIGTERM')
        expect(await ended).toEqual([0, null])
      } finally {
        app.kill('SIGKILL')
        await redis.stop()
      }
    },
  )

  test('an example is at most twenty lines', () => {
    for (const file of ['express.js', 'fastify.js', 'hono.js', 'nest.ts']) {
      const code = readFileSync(join(examples, file), 'utf8')
        .split('\n')
        .filter((line) => !/^(\/\/.*|\s*)$/.test(line))
      expect([file, code.length]).toEqual([file, expect.any(Number)])
      expect(code.length).toBeLessThanOrEqual(20)
    }
  })
})
