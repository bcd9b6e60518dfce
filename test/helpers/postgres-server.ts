// A real PostgreSQL that belongs to the test: it can be stopped, frozen, and started again on the same port and files.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

const PASSWORD = 'sentinel-password'

export interface TestPostgres {
  readonly port: number
  /** Of a database, which must be there; `password` may be a wrong one. */
  url(database?: string, password?: string): string
  createDatabase(): Promise<string>
  /** Statements as psql would send them; the rows of the last one. */
  query(database: string, statements: string): Promise<Record<string, unknown>[]>
  /** Restarts it with TLS, by a certificate that nobody else has signed. */
  speakTls(): Promise<void>
  /** Nothing happens when it runs. */
  start(): Promise<void>
  /** As an administrator stops it: transactions under way are rolled back, connections closed. */
  stop(): Promise<void>
  /** SIGSTOP to each of its processes; connections are still accepted, by the kernel. */
  freeze(): void
  thaw(): void
  close(): Promise<void>
}

/** PostgreSQL refuses to run as root: the package's user runs it then. */
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres']).toString())
  return { uid: id('-u'), gid: id('-g') }
}

function programs(): string {
  const versions = '/usr/lib/postgresql'
  const bins = (existsSync(versions) ? readdirSync(versions) : [])
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(versions, version, 'bin'))
  const newest = bins.find((bin) => existsSync(join(bin, 'initdb')))
  if (!newest) throw new Error(`no PostgreSQL below ${versions}: install the package postgresql`)
  return newest
}

export async function startPostgres(): Promise<TestPostgres> {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'samovar-postgres-'))
  const [bin, as] = [programs(), owner()]
  if (as.uid !== undefined && as.gid !== undefined) chownSync(dir, as.uid, as.gid)
  const data = join(dir, 'data')
  const passwordFile = join(dir, 'password')
  writeFileSync(passwordFile, PASSWORD, { mode: 0o644 })
  const init = ['-D', data, '-U', 'samovar', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
  execFileSync(join(bin, 'initdb'), [...init, '-E', 'UTF8', '--locale=C', '--no-sync'], {
    ...as,
    cwd: dir,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  let child: ChildProcess | undefined
  let frozen: number[] = []

  const url = (database = 'postgres', password = PASSWORD) =>
    `postgres://samovar:${password}@127.0.0.1:${port}/${database}`

  async function query(database: string, statements: string) {
    const client = new pg.Client({ connectionString: url(database) })
    await client.connect()
    try {
      const results = [await client.query(statements)].flat()
      return results.at(-1)?.rows ?? []
    } finally {
      await client.end()
    }
  }

  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null

  async function start(): Promise<void> {
    if (isRunning()) return
    const settings = ['fsync=off', 'listen_addresses=127.0.0.1', `unix_socket_directories=${dir}`]
    const words = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
    child = spawn(join(bin, 'postgres'), words, { ...as, cwd: dir, stdio: 'ignore' })
    await eventually(() => query('postgres', 'SELECT 1'))
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    thaw()
    if (!child || !isRunning()) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  function freeze(): void {
    const postmaster = child?.pid ?? 0
    process.kill(postmaster, 'SIGSTOP') // first, so that it starts no other
    frozen = [postmaster, ...childrenOf(postmaster)]
    for (const pid of frozen) process.kill(pid, 'SIGSTOP')
  }

  function thaw(): void {
    for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT')
  }

  await start()
  return {
    port,
    url,
    async createDatabase() {
      const name = `test_${Math.random().toString(36).slice(2)}`
      await query('postgres', `CREATE DATABASE ${name}`)
      return name
    },
    query,
    async speakTls() {
      const [key, certificate] = [join(data, 'server.key'), join(data, 'server.crt')]
      const words = ['req', '-new', '-x509', '-days', '2', '-nodes', '-subj', '/CN=localhost']
      execFileSync('openssl', [...words, '-out', certificate, '-keyout', key], { ...as, stdio: 'ignore' })
      chmodSync(key, 0o600)
      await query('postgres', 'ALTER SYSTEM SET ssl = on')
      await end('SIGINT')
      await start()
    },
    start,
    stop: () => end('SIGINT'),
    freeze,
    thaw,
    async close() {
      await end('SIGQUIT')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Each of them has a session of its own, so that no signal to a group reaches them all. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return undefined // it has ended meanwhile
  }
}
