// The guard reads where the users of the app and of Redis may write, and asks as them who has files open: nothing that
// one of them leaves there, or does, keeps it from handing the data over.
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeVolume, removeVolumes, startOnVolume } from '../helpers/volume-process.ts'

afterEach(removeVolumes)

test('a pipe, a directory, a link and odd names in the place of its files are no files', async () => {
  const volume = makeVolume()
  const old = await startOnVolume(volume, { app: false })
  await old.untilWord('held')
  const at = (name: string) => join(old.runDir, name)
  mkdirSync(at('app'))
  // Of this very process, whose command line has the word that the guard looks for.
  execFileSync('mkfifo', [at('redis-cache.pid'), at(`app/${process.pid}`)])
  mkdirSync(at('redis-state.pid'))
  writeFileSync(at('app/²'), 'ready')
  writeFileSync(at(`app/${'9'.repeat(40)}`), 'open')
  writeFileSync(at('open'), 'open')
  symlinkSync(at('open'), at(`app/${process.ppid}`))
  const guard = old.guardPid()

  const young = await startOnVolume(volume)
  await young.untilWord('held')
  expect(old.word()).toBe('released')
  expect(old.guardPid()).toBe(guard)
})

// The user of Redis, with a file below /data open, stops whoever comes to look.
const STOPPER = `
import os, signal, sys, time
guard, path = sys.argv[1:]
file = open(path, "w")
while True:
    time.sleep(0.002)
    with open(f"/proc/{guard}/task/{guard}/children") as children:
        for child in children.read().split():
            try:
                os.kill(int(child), signal.SIGSTOP)
                sys.exit("stopped one")
            except (PermissionError, ProcessLookupError):
                pass`
const USER = '64999'
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('not tried: looking as another user needs root\n')
const asRoot = isRoot ? test : test.skip

asRoot('one who looks as a user, and is stopped by that user, is not waited for without end', async () => {
  const volume = makeVolume()
  chmodSync(volume, 0o777)
  const old = await startOnVolume(volume, { app: false, env: { SAMOVAR_USERS: USER } })
  await old.untilWord('held')
  const words = ['--reuid', USER, '--regid', USER, '--clear-groups', 'python3', '-I', '-c', STOPPER]
  const stopper = spawn('setpriv', [...words, String(old.guardPid()), join(volume, 'held-open')], {
    env: { PATH: `/usr/bin:/bin:${process.env.PATH}` },
  })
  let said = ''
  stopper.stderr.on('data', (chunk) => {
    said += chunk
  })
  const young = await startOnVolume(volume)
  await young.untilWord('held')
  expect(said).toBe('stopped one\n')
  expect(old.word()).toBe('released')
})
