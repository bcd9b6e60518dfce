// image/run-server on this machine, with a run directory of the test's in the place of the image's: the user's server
// runs while this container holds the lock on /data, ends when it lets go, and the guard is told.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'

const children: ChildProcess[] = []
const dirs: string[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

function run(mode: 'beside' | 'instead', command: string, word: string) {
  const dir = mkdtempSync(join(tmpdir(), 'samovar-run-'))
  dirs.push(dir)
  mkdirSync(join(dir, 'app'))
  writeFileSync(join(dir, 'app-starts'), '')
  const say = (next: string) => writeFileSync(join(dir, 'data'), next)
  say(word)
  const server = { command, mode, dir }
  const child = spawn('python3', ['-I', '-S', 'image/run-server'], {
    env: {
      PATH: process.env.PATH,
      SAMOVAR_RUN_DIR: dir,
      NODE_CHANNEL_FD: '3', // as pm2 gives it
      DATA_DIR: join(dir, 'own'),
      SAMOVAR_SERVER: JSON.stringify(server),
    },
    stdio: 'ignore',
  })
  children.push(child)
  const read = (path: string) => (existsSync(join(dir, path)) ? readFileSync(join(dir, path), 'utf8') : '')
  return { child, say, read, told: () => read(`app/${child.pid}`), ended: once(child, 'close') }
}

/** Says in a file when it begins, and when it is told to end. */
const WORKS = `trap 'echo end >>own/log; exit 0' TERM; echo begin >>own/log; while :; do sleep 0.1; done`

test('instead of the app: ready, then open with the lock, closed without it, and again', async () => {
  const { child, say, read, told, ended } = run('instead', WORKS, 'waiting')
  await eventually(() => expect(told()).toBe('ready'))
  expect(read('own/log')).toBe('')
  say('held')
  await eventually(() => expect(read('own/log')).toBe('begin\n'))
  expect(told()).toBe('open')
  say('leaving') // only the cache's Redis ends yet
  say('draining')
  await eventually(() => expect(told()).toBe('closed'))
  expect(read('own/log')).toBe('begin\nend\n')
  say('held')
  await eventually(() => expect(read('own/log')).toBe('begin\nend\nbegin\n'))
  expect(read('app-starts')).toBe('..')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect([read('own/log'), told()]).toEqual(['begin\nend\nbegin\nend\n', ''])
})

test('beside the app it says nothing of being ready, and ends with the server’s code', async () => {
  const { say, read, told, ended } = run('beside', 'sleep 0.3; exit 7', 'waiting')
  await eventually(() => expect(told()).toBe(''))
  say('held')
  expect(await ended).toEqual([7, null])
  expect([read('app-starts'), told()]).toEqual(['', ''])
})

test('the server gets no channel of pm2’s', async () => {
  const { ended } = run('beside', 'test -z "$NODE_CHANNEL_FD"; exit $?', 'held')
  expect(await ended).toEqual([0, null])
})

const DEAF = "trap '' TERM; echo $$ >>own/deaf; while :; do sleep 0.1; done"
const isAlive = (pid: string) => existsSync(`/proc/${pid.trim()}/stat`) && !/\) Z /.test(stateOf(pid))
function stateOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid.trim()}/stat`, 'utf8')
  } catch {
    return ') Z ' // gone in between
  }
}

test('closed is told when all that the command has started has ended, also what is deaf', async () => {
  const { child, say, read, told, ended } = run(
    'beside',
    `sh -c "${DEAF.replaceAll('$', '\\$')}" & sleep 60`,
    'held',
  )
  await eventually(() => expect(read('own/deaf')).not.toBe(''))
  say('draining')
  await eventually(() => expect(told()).toBe('closed'))
  expect(isAlive(read('own/deaf'))).toBe(false)
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

test('killed itself, it leaves no server behind', async () => {
  const { child, read, ended } = run('beside', 'echo $$ >own/pid; exec sleep 60', 'held')
  await eventually(() => expect(read('own/pid')).not.toBe(''))
  child.kill('SIGKILL')
  await ended
  await eventually(() => expect(isAlive(read('own/pid'))).toBe(false))
})

test('beside a server it is the guard that gives the app up, since pm2 would not end', async () => {
  const restarts = async (server: string) => {
    const program = "import('./ecosystem.config.js').then(({ apps }) => console.log(apps[0].max_restarts))"
    const child = spawn(process.execPath, ['-e', program], { env: { SAMOVAR_SERVER: server } })
    let said = ''
    child.stdout.on('data', (chunk) => {
      said += chunk
    })
    await once(child, 'close')
    return Number(said)
  }
  expect(await restarts('')).toBe(3)
  expect(await restarts('{"mode":"beside"}')).toBeGreaterThan(10)
})
