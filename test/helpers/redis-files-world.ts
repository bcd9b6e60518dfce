// A data directory with image/run-redis at work on it, as in a container that holds the data lock: a real redis-server,
// started for as long as it takes, by a user who is not root.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, HUNG_MS } from './eventually.ts'

const IMAGE = join(import.meta.dirname, '../../image')
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
// Root may read and write whatever it likes: nothing could be learnt of rights.
const asNobody = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : []
const root = mkdtempSync(join(tmpdir(), 'samovar-redis-'))
chmodSync(root, 0o755)
for (const name of ['run-redis', 'state-files', 'redis_files', 'redis-state.conf'])
  cpSync(join(IMAGE, name), join(root, name), { recursive: true })

export type World = ReturnType<typeof openWorld>

let worlds = 0
const open = new Set<World>()

/** For afterAll. */
export async function closeWorlds(): Promise<void> {
  await Promise.all([...open].map((world) => world.stop()))
  rmSync(root, { recursive: true, force: true })
}

/** A data directory that is empty, or has a copy of this state in it. Nothing runs on it yet. */
export function openWorld(from?: string) {
  worlds += 1
  const home = join(root, String(worlds))
  const data = join(home, 'data')
  const run = join(home, 'run')
  const state = join(data, 'state')
  const socket = join(run, 'redis-state.sock')
  mkdirSync(data, { recursive: true })
  mkdirSync(run)
  if (from) cpSync(from, state, { recursive: true, verbatimSymlinks: true })
  writeFileSync(join(run, 'data'), 'held')
  const settings = readFileSync(join(root, 'redis-state.conf'), 'utf8')
  writeFileSync(join(run, 'redis-state.conf'), `${settings}dir ${state}\nunixsocket ${socket}\n`)
  const env = { PATH: `/usr/bin:/bin:${process.env.PATH}`, DATA_DIR: data, SAMOVAR_RUN_DIR: run }
  let child: ChildProcess | undefined
  let text = ''

  function own(path: string): void {
    if (!isRoot) return
    lchownSync(path, NOBODY, NOBODY)
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) own(join(path, name))
  }
  const as = (command: string[]) => {
    const [program = '', ...words] = [...asNobody, ...command]
    return [program, words] as const
  }

  async function ask(...words: string[]): Promise<string> {
    const connection = connect(socket)
    try {
      await once(connection, 'connect')
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
      connection.write(`*${words.length}\r\n${parts.join('')}`)
      let reply = Buffer.alloc(0)
      for await (const chunk of connection) {
        reply = Buffer.concat([reply, chunk])
        const head = reply.indexOf('\r\n')
        const length = reply[0] === 36 ? Number(reply.subarray(1, head)) + 2 : 0
        if (head >= 0 && reply.length >= head + 2 + length) break
      }
      return reply.toString('latin1')
    } finally {
      connection.destroy()
    }
  }

  own(home)
  const world = {
    data,
    state,
    aof: join(state, 'appendonlydir'),
    ask,
    log: () => text,
    alerts: () => text.split('\n').filter((line) => line.includes('ALERT')),
    attempts: () => text.split('next attempt in').length - 1,
    own,
    start() {
      open.add(world)
      child = spawn(...as(['sh', join(root, 'run-redis'), 'state']), { env })
      child.stdout?.on('data', (chunk) => {
        text += chunk
      })
      child.stderr?.on('data', (chunk) => {
        text += chunk
      })
    },
    /** What state-files says of a start with this log: its code and its words. */
    judge(times: number, code: number, log: string): { code: number; words: string } {
      writeFileSync(join(run, 'redis-state.log'), log)
      const python = ['python3', '-I', '-S', join(root, 'state-files'), 'judge', String(times), String(code)]
      try {
        return { code: 0, words: execFileSync(...as(python), { env, encoding: 'utf8' }).trim() }
      } catch (error) {
        const { status, stdout } = error as { status: number; stdout: string }
        return { code: status, words: stdout.trim() }
      }
    },
    up: () =>
      eventually(
        async () => {
          if ((await ask('PING')) !== '+PONG\r\n') throw new Error(`not up yet: ${text}`)
        },
        HUNG_MS,
        200,
      ),
    /** All keys with their values. */
    async content(): Promise<Map<string, string>> {
      const script = `local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do
        all[#all + 1] = key .. '=' .. (redis.call('TYPE', key).ok == 'string' and redis.call('GET', key) or '?') end
        return table.concat(all, '\\n')`
      const lines = (await ask('EVAL', script, '0')).split('\r\n')[1]?.split('\n') ?? []
      return new Map(lines.filter(Boolean).map((line) => line.split('=', 2) as [string, string]))
    },
    /** The files in its state, or in its quarantine. */
    files(below: 'state' | 'quarantine' = 'state'): string[] {
      const from = join(data, below)
      const names = existsSync(from) ? readdirSync(from, { recursive: true, encoding: 'utf8' }) : []
      return names.filter((name) => !lstatSync(join(from, name)).isDirectory()).sort()
    },
    async stop(): Promise<void> {
      open.delete(world)
      if (!child || child.exitCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
      // A sleep of the script may outlive it, with its output open.
      child.stdout?.destroy()
      child.stderr?.destroy()
    },
  }
  return world
}

export const BASE = 'appendonly.aof.3.base.rdb'
export const INCREMENT = 'appendonly.aof.3.incr.aof'
export const MANIFEST = 'appendonly.aof.manifest'

export const KEYS = 20
const AT_ONCE = 12

/** A base and an increment with three groups of keys: first and base in the base, incr in the increment. */
export let whole: World
/** The same server's files of another time: one rewrite before. */
export let earlier: World
export let before: Map<string, string>

/** For beforeAll. */
export async function prepareFiles(): Promise<void> {
  const world = openWorld()
  world.start()
  await world.up()
  await write(world, 'first')
  await rewrite(world)
  await write(world, 'base')
  earlier = openWorld(world.state)
  await rewrite(world)
  await write(world, 'incr')
  before = await world.content()
  await world.stop()
  whole = world
  expect(world.files()).toEqual([BASE, INCREMENT, MANIFEST].map((name) => join('appendonlydir', name)))
}

async function write(world: World, name: string): Promise<void> {
  for (let i = 0; i < KEYS; i += 1) await world.ask('SET', `${name}:${i}`, `${name} value ${i}`)
}

async function rewrite(world: World): Promise<void> {
  await world.ask('BGREWRITEAOF')
  await eventually(async () =>
    expect(await world.ask('INFO', 'persistence')).toMatch(
      /aof_rewrite_in_progress:0.*aof_rewrite_scheduled:0/s,
    ),
  )
}

export type Outcome = { world: World; content: Map<string, string>; isElsewhere: boolean }

/** A copy of the whole files with this done to them, and what a server has of it in the end. */
export async function heal(damage: (world: World) => void): Promise<Outcome> {
  const world = openWorld(whole.state)
  damage(world)
  world.own(world.data)
  world.start()
  await world.up()
  const content = await world.content()
  // A damaged SELECT is one: the keys behind it are there, in a database that nobody reads.
  const isElsewhere = /db[1-9]/.test(await world.ask('INFO', 'keyspace'))
  await world.stop()
  return { world, content, isElsewhere }
}

/** Runs them all, some at once; all that went wrong is in the one failure. */
export async function each<T>(cases: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...cases]
  const failures: string[] = []
  const work = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const name = JSON.stringify(one)
      await run(one).catch((error) => failures.push(`${name}: ${error.stack}`))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  if (failures.length > 0) throw new Error(failures.join('\n\n'))
}

export type Damage = (paths: Paths) => void
export type Paths = Readonly<
  Record<'data' | 'state' | 'aof' | 'base' | 'increment' | 'manifest' | 'dump', string>
>
export const pathsOf = ({ data, state, aof }: World): Paths => ({
  data,
  state,
  aof,
  base: join(aof, BASE),
  increment: join(aof, INCREMENT),
  manifest: join(aof, MANIFEST),
  dump: join(state, 'dump.rdb'),
})
