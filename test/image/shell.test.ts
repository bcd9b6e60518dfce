// Who runs as whom inside the container, what each may read and do there, and what the image does not have.
import {
  boot,
  bootReady,
  createVolume,
  removeAll,
  type Samovar,
  startContainer,
  until,
} from '../helpers/image.ts'

/** As docs/deploying.md has it. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID']
const SECRET = 'sentinel-b81d-of-the-shell-test'

let samovar: Samovar

beforeAll(async () => {
  samovar = await bootReady({ volume: await createVolume(), env: { SESSION_SECRET: SECRET } })
})
afterAll(removeAll)

const pidOfApp = () => samovar.exec('cat /run/samovar/pm2/app-0.pid')

test('the app and the Redis servers are of two users, and only PID 1 and its guard are root', async () => {
  const lines = await samovar.exec(
    'for p in /proc/[0-9]*; do echo "$(stat -c %U $p) $(cut -c-60 $p/comm)"; done 2>/dev/null | sort -u',
  )
  const users = (name: string) =>
    lines.split('\n').flatMap((line) => (line.endsWith(` ${name}`) ? [line.split(' ')[0]] : []))
  expect(users('redis-server')).toEqual(['samovar-redis'])
  expect(await samovar.exec(`stat -c %U /proc/${await pidOfApp()}`)).toBe('samovar')
  const guard = await samovar.exec(
    "grep -lz '^/app/image/guard' /proc/[0-9]*/cmdline | cut -d/ -f3 | grep -v self | head -1",
  )
  const roots = await samovar.exec(
    'for p in /proc/[0-9]*; do [ $(stat -c %u $p) = 0 ] && [ $(cut -d" " -f4 $p/stat) != 0 ] && basename $p; done 2>/dev/null',
  )
  // What docker exec runs has no parent here.
  expect(roots.split('\n').filter((pid) => pid !== '1')).toEqual([guard])
  // Kill, setgid, setuid: no more.
  for (const pid of ['1', guard])
    expect(await samovar.exec(`sed -n 's/^CapEff:[[:space:]]*0*//p' /proc/${pid}/status`)).toBe('e0')
})

test('the user of Redis reads neither the environment of the app nor the files with secrets', async () => {
  const environ = `/proc/${await pidOfApp()}/environ`
  expect(await samovar.exec(`tr '\\0' '\\n' <${environ}`, 'samovar')).toContain(SECRET)
  const others = `cat ${environ} /proc/1/environ /data/admin-token /data/samovar.db 2>/dev/null; echo end`
  expect(await samovar.exec(others, 'samovar-redis')).toBe('end')
  expect(await samovar.exec(others, 'nobody')).toBe('end')
  const itsOwn = await samovar.exec(
    `for name in cache state; do server=$(cat /run/samovar/redis-$name.pid)
     for pid in $server $(cut -d' ' -f4 /proc/$server/stat); do cat /proc/$pid/environ; done; done | tr '\\0' '\\n'`,
    'samovar-redis',
  )
  expect(itsOwn).toContain('SAMOVAR_REDIS_DIR')
  expect(itsOwn).not.toContain(SECRET)
  expect(await samovar.exec('stat -c "%U %a" /data/admin-token')).toBe('samovar 600')
})

test('the default user of both Redis servers does not administrate them', async () => {
  for (const cli of ['redis-cli', 'redis-cli -s /run/samovar/redis-state.sock']) {
    for (const command of [
      'CONFIG GET maxmemory',
      'DEBUG SLEEP 0',
      'SHUTDOWN NOSAVE',
      'MODULE LIST',
      'REPLICAOF no one',
      'SLAVEOF no one',
      'ACL WHOAMI',
    ])
      expect([command, await samovar.exec(`${cli} ${command}`)]).toEqual([
        command,
        expect.stringMatching(/NOPERM|DEBUG command not allowed/),
      ])
    expect(await samovar.exec(`${cli} PING`)).toBe('PONG')
  }
})

test('the image has no setuid files, no npm, no compiler and no caches of packages, but lists its parts', async () => {
  expect(await samovar.exec('find / -xdev -type f -perm /6000')).toBe('')
  expect(await samovar.exec('for n in npm npx corepack yarn cc gcc make tsc; do command -v $n; done')).toBe(
    '',
  )
  expect(
    await samovar.exec('ls -d /app/node_modules/*typescript* /app/node_modules/.bin/tsc 2>/dev/null'),
  ).toBe('')
  expect(await samovar.exec('ls /usr/local/lib/node_modules 2>/dev/null')).toBe('')
  expect(await samovar.exec('find /var/lib/apt/lists /var/cache/apt /root/.npm -type f 2>/dev/null')).toBe('')
  const sbom = JSON.parse(await samovar.exec('cat /app/sbom.json')) as Record<string, unknown>
  expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', components: expect.any(Array) })
  const names = (sbom.components as { name: string }[]).map(({ name }) => name)
  expect(names).toContain('express')
  expect(names).not.toContain('typescript')
  expect(await samovar.exec('grep -c "| express |" /app/THIRD-PARTY.md')).toBe('1')
})

test('samovar token prints the token, as root and as the user of the app, and what it opens opens', async () => {
  const token = await samovar.exec('samovar token')
  expect(token).toMatch(/^[\w-]{32}$/)
  expect(await samovar.exec('samovar token', 'samovar')).toBe(token)
  const log = await samovar.text()
  expect(log).toContain('/data/admin-token')
  expect(log).not.toContain(token)
  const headers = { authorization: `Bearer ${token}` }
  expect((await samovar.get('/admin/jobs', { headers })).status).toBe(200)
  expect((await samovar.get('/admin/jobs')).status).toBe(401)
  expect(await samovar.exec('samovar nonsense; echo $?')).toMatch(/^samovar: no command "nonsense".*\n2$/)
  expect(await samovar.exec('samovar token', 'samovar-redis')).toMatch(
    /^samovar: .* cannot be read \(EACCES\)/,
  )
})

test('the documented capabilities are enough, and where one is missing a sentence says which', async () => {
  const fewer = await Promise.all(
    CAPABILITIES.map(async (name) => {
      const lacking = await boot({ capabilities: CAPABILITIES.filter((other) => other !== name) })
      return [name, await lacking.exitCode(), await lacking.text()]
    }),
  )
  for (const [name, code, text] of fewer) {
    expect([name, code]).toEqual([name, 78])
    expect(text).toMatch(
      new RegExp(`^samovar: root lacks capabilities .*--cap-add ${name} \\).*--user 1000$`),
    )
  }
  const exact = await bootReady({ capabilities: CAPABILITIES, volume: await createVolume() })
  expect((await exact.get('/api/countries')).status).toBe(200)
  expect((await exact.stop()).code).toBe(0)
})

test('a volume of a release that had one user is taken over; with --user one user for all is said once', async () => {
  const volume = await createVolume()
  const one = await bootReady({ volume, user: '1000' })
  expect((await one.text()).split('everything runs as user 1000')).toHaveLength(2)
  const cli = 'redis-cli -s /run/samovar/redis-state.sock'
  await one.exec(`${cli} SET kept:one 1`)
  expect(await one.exec('find /data ! -user samovar')).toBe('')
  const secret = await one.exec('cat /data/session-secret')
  expect((await one.stop()).code).toBe(0)

  const two = await bootReady({ volume })
  expect(await two.exec(`${cli} GET kept:one`)).toBe('1')
  expect(await two.exec('cat /data/session-secret')).toBe(secret)
  expect(await two.exec('stat -c %U /data/samovar.db /data/state /data/state/appendonlydir/*.incr.aof')).toBe(
    'samovar\nsamovar-redis\nsamovar-redis',
  )
  expect((await two.stats()).fileAlerts).toEqual([])
  // And not back again by itself.
  expect((await two.stop()).code).toBe(0)
  const back = await boot({ volume, user: '1000' })
  expect(await back.exitCode()).toBe(78)
  expect(await back.text()).toMatch(/\/data\/cache belongs to another user: .*chown -R/)
})

test('what was cut off in the middle: files of another user among those of Redis are taken over, too', async () => {
  const volume = await createVolume()
  const surgeon = await startContainer({ volume }, ['sleep', '60'])
  await surgeon.exec(
    'mkdir -m 700 /data/state && touch /data/state/keep && chown -R 1000:1000 /data && chmod 700 /data',
  )
  await surgeon.remove()
  const samovar = await bootReady({ volume })
  expect(await samovar.exec('stat -c "%U %a" /data /data/state /data/quarantine')).toBe(
    'samovar 1750\nsamovar-redis 770\nsamovar 1770',
  )
})

test('the user of Redis makes no files where those of the app are, and only the guard has the data lock', async () => {
  for (const name of ['admin-token.new', 'samovar.db-journal'])
    expect(await samovar.exec(`touch /data/${name} 2>&1`, 'samovar-redis')).toContain('Permission denied')
  const holders = async (user: string) =>
    (await samovar.exec('ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c "samovar.lock$"; true', user)).trim()
  expect([await holders('samovar'), await holders('samovar-redis')]).toEqual(['0', '0'])
  const guard = await samovar.exec(
    "grep -lz '^/app/image/guard' /proc/[0-9]*/cmdline | cut -d/ -f3 | head -1",
  )
  expect(await samovar.exec(`readlink /proc/${guard}/fd/100`)).toBe('/data/samovar.lock')
})

test('links in /data lead root nowhere', async () => {
  const volume = await createVolume()
  const surgeon = await startContainer({ volume }, ['sleep', '60'])
  // As the app could leave them. What they point to is on the volume, so that the next container has it, too.
  const names = ['quarantine', 'samovar.lock', 'samovar.lock.next']
  await surgeon.exec(
    `mkdir -p /data/of-root/state && cd /data && chown 1000:1000 . && chmod 700 . of-root && touch of-root/file &&
     ln -s of-root/state quarantine && ln -s of-root/file samovar.lock && ln -s of-root/new samovar.lock.next`,
  )
  await surgeon.remove()
  const started = await bootReady({ volume })
  expect(
    await started.exec(`cd /data && for n in ${names.join(' ')}; do [ -L $n ] && echo $n; done; ls of-root`),
  ).toBe('file\nstate')
  expect(await started.exec('stat -c "%a" /data/of-root/state /data/of-root/file')).toBe('755\n644')
})

test('a release with one user starts on the volume: the servers of this one come back all the same', async () => {
  const volume = await createVolume()
  const ours = await bootReady({ volume })
  const cli = 'redis-cli -s /run/samovar/redis-state.sock'
  await ours.exec(`${cli} SET kept:one 1`)
  // What its start does, while this container holds the data.
  const other = await startContainer({ volume }, ['sleep', '60'])
  await other.exec('find /data -maxdepth 3 -exec chown -h samovar:samovar {} +')
  await other.remove()
  for (const name of ['redis-state', 'redis-cache'] as const) {
    const pid = await ours.pid(name)
    await ours.exec(`kill -9 ${pid}`)
    await until(`another ${name}`, async () => {
      const now = await ours.pid(name)
      return now !== '' && now !== pid
    })
  }
  await ours.status('redis')
  expect(await ours.exec(`${cli} GET kept:one`)).toBe('1')
  expect(await ours.text()).toMatch(/redis-state: may not write in \/data\/state: another release/)
  // Its rewrites work as well.
  await ours.exec(`${cli} BGREWRITEAOF`)
  await until('the append-only file is rewritten', async () =>
    (await ours.exec(`${cli} INFO persistence`)).includes('aof_last_bgrewrite_status:ok'),
  )
  expect((await ours.stats()).fileAlerts).toEqual([])
})
