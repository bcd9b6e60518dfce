// The app as a process of its own, as Node runs it in development, with nothing of our own environment but the path.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

export interface SpawnedProcess {
  readonly child: ChildProcess
  /** What it has written so far. */
  readonly said: { out: string; err: string }
  /** Its exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>
}

const started: { child: ChildProcess; dataDir: string; said: SpawnedProcess['said'] }[] = []

export interface SpawnOptions {
  /** This one unless said. */
  tree?: string
  /** Permissions of files hold, for root too. */
  withoutCapabilities?: boolean
}

/** Runs src/<file>, in a data directory of its own, with Redis switched off unless said. */
export function spawnSource(
  file: string,
  env: Record<string, string>,
  { tree = process.cwd(), withoutCapabilities = false }: SpawnOptions = {},
): SpawnedProcess {
  const dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
  const drop = ['setpriv', '--bounding-set=-all', '--inh-caps=-all']
  const [command = '', ...words] = [...(withoutCapabilities ? drop : []), process.execPath, join('src', file)]
  const child = spawn(command, words, {
    cwd: tree,
    env: { PATH: process.env.PATH ?? '', DATA_DIR: dataDir, REDIS_URL: 'off', TRUST_PROXY: '1', ...env },
  })
  const said = { out: '', err: '' }
  started.push({ child, dataDir, said })
  child.stdout.on('data', (chunk) => {
    said.out += chunk
  })
  child.stderr.on('data', (chunk) => {
    said.err += chunk
  })
  return { child, said, ended: once(child, 'close').then(([code]) => code as number | null) }
}

/** The app, listening. */
export async function spawnApp(env: Record<string, string> = {}, options?: SpawnOptions) {
  const port = await freePort()
  const app = spawnSource('main.ts', { PORT: String(port), ...env }, options)
  await eventually(() => expect(app.said.out).toContain('listening'))
  return { ...app, port, url: `http://127.0.0.1:${port}` }
}

/** As Node writes them, but for its own word about what it is made of. */
const WARNINGS = /^\(node:\d+\) (?!ExperimentalWarning)(\[\w+\] )?\w*Warning: .*$/gm

/** Kills what still runs, and removes what all of them kept. Fails for those that Node had to warn. */
export async function removeProcesses(): Promise<void> {
  const warnings: string[] = []
  for (const { child, dataDir, said } of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    }
    rmSync(dataDir, { recursive: true, force: true })
    warnings.push(...(said.err.match(WARNINGS) ?? []))
  }
  expect(warnings).toEqual([])
}

/** The status that its stats give, of both roles together. */
export async function untilStatus(status: 'redis' | 'memory', url: string): Promise<void> {
  await eventually(async () => {
    const stats = (await (await fetch(`${url}/api/cache/stats`)).json()) as { status: string }
    expect(stats.status).toBe(status)
  })
}
