// The processes a benchmark starts: real redis-servers and Node scripts, each on its own port, ended all at once and
// without delay (SIGKILL: nothing here is worth saving), so that it also works while the process exits.
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { appFlags } from '../image/node-flags.js'
import { freePort } from '../test/helpers/free-port.ts'

const START_LIMIT_MS = 10_000
const POLL_MS = 20
const HEAP_MB = 162 // of the smallest plan (image/entrypoint.sh)
const TICK_MS = 10 // of the CPU times in /proc (USER_HZ, 100 on every Linux)

export interface RedisServer {
  readonly pid: number
  /** Over TCP, as the image's cache role is asked. */
  readonly url: string
  /** Over its socket, as the image's state role is asked. */
  readonly socketUrl: string
  kill(): void
}

export interface Script {
  readonly pid: number
  readonly port: number
  /** Sends one message and resolves with the next one that comes. */
  ask<T>(message: object): Promise<T>
  kill(): void
}

export interface ScriptOptions {
  /** Of the app: of the smallest plan, unless said. What it is compared with has the defaults of Node. */
  heapMb?: number
}

export interface Processes {
  startRedis(...settings: string[]): Promise<RedisServer>
  /** Runs a script of this repository with `PORT` set, and resolves when it has sent its first message. */
  startScript(path: string, env?: Record<string, string>, options?: ScriptOptions): Promise<Script>
  /** An empty folder that goes when they go. */
  makeFolder(): string
  close(): void
}

export function createProcesses(): Processes {
  const children: ChildProcess[] = []
  const folders: string[] = []

  function makeFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'samovar-bench-'))
    folders.push(folder)
    return folder
  }

  return {
    makeFolder,

    async startRedis(...settings) {
      const port = await freePort()
      const folder = makeFolder()
      const path = join(folder, 'redis.sock')
      const fixed = ['--bind', '127.0.0.1', '--port', String(port), '--unixsocket', path, '--dir', folder]
      const child = spawn('redis-server', [...fixed, '--save', '', ...settings], { stdio: 'ignore' })
      children.push(child)
      await Promise.race([untilAnswers(path), failed(child, 'redis-server')])
      return {
        pid: child.pid!,
        url: `redis://127.0.0.1:${port}`,
        socketUrl: `unix://${path}`,
        kill: () => void child.kill('SIGKILL'),
      }
    },

    async startScript(path, env = {}, { heapMb = HEAP_MB } = {}) {
      const port = await freePort()
      const child = fork(join(import.meta.dirname, '..', path), {
        env: { PATH: process.env.PATH, NODE_ENV: 'production', PORT: String(port), ...env },
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        // As the image runs it.
        execArgv: path === 'src/main.ts' ? appFlags(heapMb) : [],
      })
      children.push(child)
      let isKilled = false
      const ended = failed(child, path).catch((error) => {
        if (isKilled) return undefined as never
        throw error
      })
      const late = pause(START_LIMIT_MS, undefined, { ref: false }).then(() => {
        throw new Error(`${path} did not start within ${START_LIMIT_MS} ms`)
      })
      await Promise.race([once(child, 'message'), ended, late])
      return {
        pid: child.pid!,
        port,
        async ask<T>(message: object) {
          child.send(message)
          const [answer] = await Promise.race([once(child, 'message'), ended])
          return answer as T
        },
        kill() {
          isKilled = true
          child.kill('SIGKILL')
        },
      }
    },

    close() {
      for (const child of children.splice(0)) child.kill('SIGKILL')
      for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

export function redisVersion(): string {
  return /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
}

/** CPU time the process has used so far, ms; NaN where there is no /proc. */
export function cpuMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc_pid_stat(5): fields 14 and 15; the second one may hold spaces, so they are counted from its bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Number.NaN
    throw error
  }
}

/** What the process has in memory now, of its own and shared; NaN where there is no /proc. */
export function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Number.NaN
    throw error
  }
}

/** How long the threads of a process have run, ms: finer than `cpuMs`, without those that have ended. */
export function threadsMs(pid: number): number {
  const ranNs = readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
  return ranNs.reduce((sum, ns) => sum + ns, 0) / 1_000_000
}

async function failed(child: ChildProcess, name: string): Promise<never> {
  const [code, signal] = await once(child, 'exit') // rejects by itself when it cannot be started
  throw new Error(`${name} ended with ${code ?? signal} while it was needed`)
}

async function untilAnswers(path: string): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS
  for (;;) {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await pause(POLL_MS)
    } finally {
      socket.destroy()
    }
  }
}
