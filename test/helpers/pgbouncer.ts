// A real PgBouncer in transaction mode that belongs to the test: all of its clients share one session of PostgreSQL.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import type { TestPostgres } from './postgres-server.ts'

export interface TestPgBouncer {
  url(database: string): string
  stop(): Promise<void>
}

/** Undefined, with the reason on the console, where there is none. */
export function findPgBouncer(): string | undefined {
  for (const path of ['/usr/sbin/pgbouncer', 'pgbouncer']) {
    try {
      execFileSync(path, ['--version'], { stdio: 'ignore' })
      return path
    } catch {
      // the next place
    }
  }
  process.stderr.write('not tried with PgBouncer: install the package pgbouncer\n')
  return undefined
}

export async function startPgBouncer(program: string, postgres: TestPostgres): Promise<TestPgBouncer> {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'samovar-pgbouncer-'))
  chmodSync(dir, 0o755) // for the user below
  const { username, password } = new URL(postgres.url())
  writeFileSync(join(dir, 'users'), `"${username}" "${password}"\n`)
  const settings = [
    '[databases]',
    `* = host=127.0.0.1 port=${postgres.port}`,
    '[pgbouncer]',
    `listen_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =`,
    `auth_type = plain\nauth_file = ${join(dir, 'users')}`,
    'pool_mode = transaction\ndefault_pool_size = 1\nmin_pool_size = 1\nreserve_pool_size = 0',
  ]
  writeFileSync(join(dir, 'settings'), `${settings.join('\n')}\n`)
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child: ChildProcess = spawn(program, ['-q', ...user, join(dir, 'settings')], { stdio: 'ignore' })
  const url = (database: string) => postgres.url(database).replace(`:${postgres.port}/`, `:${port}/`)
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended with ${child.exitCode}`)
    const { default: pg } = await import('pg')
    const client = new pg.Client({ connectionString: url('postgres') })
    await client.connect()
    await client.end()
  })
  return {
    url,
    async stop() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
