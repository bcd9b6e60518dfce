// Two containers on one /data, without containers: for each a guard of the image, a stand-in for PID 1 that keeps the
// lock, and the app as a process of its own, with Redis switched off.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

// As image/init takes the lock; then it starts the guard, again and again, with a pipe that ends when it dies itself.
const PID_1 = `
import fcntl, os, subprocess, sys
lock = os.open(os.environ["DATA_DIR"] + "/samovar.lock", os.O_RDWR | os.O_CREAT, 0o644)
os.dup2(lock, 100, inheritable=True)
os.close(lock)
try:
    with open(os.environ["DATA_DIR"] + "/samovar.lock.next", "a") as queue:
        fcntl.flock(queue, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(100, fcntl.LOCK_EX | fcntl.LOCK_NB)
    word = "held"
except BlockingIOError:
    word = "waiting"
with open(os.environ["SAMOVAR_RUN_DIR"] + "/data", "w") as file:
    file.write(word)
while True:
    guard = subprocess.Popen([sys.executable, "-I", "-S", "image/guard"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, close_fds=False)
    with open(os.environ["SAMOVAR_RUN_DIR"] + "/guard.pid", "w") as file:
        file.write(str(guard.pid))
    guard.wait()
`

export type VolumeProcess = Awaited<ReturnType<typeof startOnVolume>>

const cleanups: (() => void)[] = []

/** A directory for /data. */
export function makeVolume(): string {
  const path = mkdtempSync(join(tmpdir(), 'samovar-volume-'))
  cleanups.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Kills all that were started here and removes what they kept. For afterEach or afterAll. */
export function removeVolumes(): void {
  for (const clean of cleanups.splice(0).reverse()) clean()
}

/** Starts the lock and its guard, and the app unless told otherwise. */
export async function startOnVolume(
  dataDir: string,
  { app = true, env = {} as Record<string, string> } = {},
) {
  const runDir = mkdtempSync(join(tmpdir(), 'samovar-run-'))
  const port = await freePort()
  const environment = {
    PATH: process.env.PATH ?? '',
    DATA_DIR: dataDir,
    SAMOVAR_RUN_DIR: runDir,
    SAMOVAR_EMBEDDED: 'false',
    SAMOVAR_LOG: join(runDir, 'log'),
    REDIS_URL: 'off',
    TRUST_PROXY: '1', // visitors are told apart by X-Forwarded-For, as in every helper
    PORT: String(port),
    LOG_LEVEL: 'info',
    ...env,
  }
  const read = (name: string) =>
    existsSync(join(runDir, name)) ? readFileSync(join(runDir, name), 'utf8').trim() : ''
  const pid1 = spawn('python3', ['-I', '-c', PID_1], { env: environment, stdio: 'ignore' })
  let said = ''
  let main: ChildProcess | undefined
  const guardPid = () => Number(read('guard.pid'))

  async function startApp(): Promise<void> {
    main = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/main.ts'], {
      env: environment,
    })
    for (const stream of [main.stdout, main.stderr])
      stream?.on('data', (chunk) => {
        said += chunk
      })
    await eventually(() => expect(said).toContain('listening'))
  }

  function kill(): void {
    for (const child of [pid1, main])
      if (child && child.exitCode === null && child.signalCode === null) {
        child.kill('SIGCONT')
        child.kill('SIGKILL')
      }
  }
  cleanups.push(() => {
    kill()
    rmSync(runDir, { recursive: true, force: true })
  })
  await eventually(() => expect(read('guard.pid')).not.toBe(''))
  if (app) await startApp()

  return {
    url: `http://127.0.0.1:${port}`,
    runDir,
    startApp,
    word: () => read('data'),
    /** What guard and app have logged. */
    log: () => read('log') + said,
    untilWord: (word: string) => eventually(() => expect(read('data')).toBe(word)),
    /** As a container dies: everything in it, without a warning. */
    kill,
    async killApp(): Promise<void> {
      if (!main) return
      const closed = once(main, 'close')
      main.kill('SIGKILL')
      await closed
    },
    signalApp: (signal: NodeJS.Signals) => void main?.kill(signal),
    killGuard: () => void process.kill(guardPid(), 'SIGKILL'),
    guardPid,
    signalGuard: (signal: NodeJS.Signals) => void process.kill(guardPid(), signal),
    /** As a container is stopped: the app first, then the rest. */
    async stop(): Promise<void> {
      if (main && main.exitCode === null) {
        const closed = once(main, 'close')
        main.kill('SIGTERM')
        await closed
      }
      kill()
    },
  }
}
