// A data directory with image/run-redis at work on it, as in a container that holds the data lock: a real redis-server,
// started for as long as it takes, by a user who is not root.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
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
import { eventually } from './eventually.ts'

const IMAGE = join(import.meta.dirname, '../../image')
const NOBODY = '65534'
const isRoot = process.getuid?.() === 0
// Root may read and write whatever it likes: nothing could be learnt of rights.
const asNobody = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : []
const root = mkdtempSync(join(tmpdir(), 'samovar-redis-'))
chmodSync(root, 0o755)
for (const name of ['run-redis', 'state-files', 'redis-state.conf'])
  cpSync(join(IMAGE, name), join(root, name))

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

  const own = (...names: string[]) =>
    isRoot && execFileSync('chown', ['-hR', `${NOBODY}:${NOBODY}`, ...names])
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
      eventually(async () => {
        if ((await ask('PING')) !== '+PONG\r\n') throw new Error(`not up yet: ${text}`)
      }),
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
    },
  }
  return world
}
