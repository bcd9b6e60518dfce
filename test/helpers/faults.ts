// Every way in which Redis breaks, one row each: what breaks it, and what ends that.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually, HUNG_MS } from './eventually.ts'
import type { Fault, World } from './fault-world.ts'
import type { TestRedis } from './redis-server.ts'

const HOUR_MS = 3_600_000

const kill = ({ redis }: World) => redis.kill()
const start = ({ redis }: World) => redis.start()

/** The operator's connection is a proxy's, too: what it says is said before the fault's own connections hear it. */
const flush = async (world: World, everyMs: number, times: number, ...words: string[]) => {
  for (let i = 0; i < times; i += 1) {
    await world.operate(...words)
    await pause(everyMs)
  }
}

const untilAnswers = (redis: TestRedis) =>
  eventually(async () => {
    const reply = await redis.command('PING')
    if (!reply.startsWith('+PONG')) throw new Error(`it answers ${reply}`)
  })

/** A copy of the server's files as they are now; puts them in place of its present ones, while it is down. */
async function takeSnapshot(world: World, redis: TestRedis): Promise<() => Promise<void>> {
  const folder = await world.folderOf(redis)
  const copy = `${folder}-copy`
  world.atEnd(() => rm(copy, { recursive: true, force: true }))
  await cp(folder, copy, { recursive: true })
  return async () => {
    await rm(folder, { recursive: true })
    await cp(copy, folder, { recursive: true })
  }
}

/** The append-only file that grows. */
async function growingFile(world: World): Promise<string> {
  const folder = join(await world.folderOf(world.redis), 'appendonlydir')
  const name = (await readdir(folder)).find((file) => file.endsWith('.incr.aof'))
  return join(folder, name ?? '')
}

/** Writes until there is no space left. */
function fillDisk(path: string): void {
  for (const bytes of [65_536, 1]) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
}

// Nothing here blocks this thread, which is the subject's as well: its calls would wait, and it would be to blame.
export const faults: readonly Fault[] = [
  { name: 'killed (-9)', break: kill, heal: start },
  {
    name: 'killed five times in a row',
    async break({ redis }) {
      for (let i = 0; i < 5; i += 1) {
        await redis.kill()
        await pause(200)
        await redis.start()
        await pause(200)
      }
    },
    lastsMs: 0,
    heal: () => {},
  },
  {
    name: 'up and down every second',
    async break({ redis }) {
      for (let i = 0; i < 7; i += 1) {
        await redis.kill()
        await pause(1_000)
        await redis.start()
        await pause(1_000)
      }
    },
    lastsMs: 0,
    heal: () => {},
  },
  {
    name: 'frozen 5 s',
    break: ({ redis }) => redis.freeze(),
    lastsMs: 5_000,
    heal: ({ redis }) => redis.thaw(),
  },
  {
    name: 'frozen in the middle of a pipeline',
    through: 'proxy',
    async break({ proxy, redis, traffic }) {
      proxy.set({ limitData: 2_000 })
      void traffic.burst(200)
      await pause(20)
      redis.freeze()
    },
    heal({ proxy, redis }) {
      proxy.set({})
      redis.thaw()
    },
  },
  {
    name: 'slow by 50 ms',
    through: 'proxy',
    stays: true,
    break: ({ proxy }) => proxy.set({ latency: 50 }),
    heal: ({ proxy }) => proxy.set({}),
  },
  {
    name: 'slow by 300 ms',
    through: 'proxy',
    break: ({ proxy }) => proxy.set({ latency: 300 }),
    lastsMs: 3_000,
    heal: ({ proxy }) => proxy.set({}),
  },
  {
    name: 'slow by 3 s',
    through: 'proxy',
    break: ({ proxy }) => proxy.set({ latency: 3_000 }),
    lastsMs: 4_000,
    heal: ({ proxy }) => proxy.set({}),
  },
  {
    name: 'replies in pieces of seven bytes',
    through: 'proxy',
    stays: true,
    break: ({ proxy }) => proxy.set({ slicer: 7 }),
    heal: ({ proxy }) => proxy.set({}),
  },
  {
    name: 'reset in mid-reply',
    through: 'proxy',
    break: ({ proxy }) => proxy.set({ resetPeer: true }),
    heal: ({ proxy }) => proxy.set({}),
  },
  {
    name: 'half-open: packets dropped, no FIN',
    through: 'proxy',
    break: ({ proxy }) => proxy.set({ timeout: true }),
    lastsMs: 2_500,
    heal: ({ proxy }) => proxy.set({}),
  },
  {
    name: 'wrong password from now on',
    async break({ operate }) {
      await operate('CONFIG', 'SET', 'requirepass', 'changed')
      await operate('CLIENT', 'KILL', 'TYPE', 'normal')
    },
    heal: ({ operate }) => operate('CONFIG', 'SET', 'requirepass', ''),
  },
  {
    name: 'ACL that denies writes',
    break: ({ operate }) => operate('ACL', 'SETUSER', 'default', '-@write'),
    heal: ({ operate }) => operate('ACL', 'SETUSER', 'default', '+@write'),
  },
  {
    name: 'maxmemory reached, state role',
    servers: 2,
    break: ({ redis }) => redis.command('CONFIG', 'SET', 'maxmemory', '1'),
    heal: ({ redis }) => redis.command('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    name: 'maxmemory reached, cache role',
    servers: 2,
    stays: true,
    async break({ cacheRedis }) {
      const used = /used_memory:(\d+)/.exec(await cacheRedis.command('INFO', 'memory'))?.[1]
      await cacheRedis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu')
      await cacheRedis.command('CONFIG', 'SET', 'maxmemory', String(Number(used) + 50_000))
      for (let i = 0; i < 200; i += 1) await cacheRedis.command('SET', `filler:${i}`, 'x'.repeat(1_000))
    },
    heal: ({ cacheRedis }) => cacheRedis.command('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    name: 'memory full while Redis is away',
    memoryBudgetBytes: 320_000,
    permits: {
      refused: 'the one exception that has a name',
      overLimit: 'limits make room for logins: a limit forgotten is better than a login lost',
    },
    break: kill,
    lastsMs: 2_500,
    async heal(world) {
      // A slow machine has not filled it by now.
      for (let i = 0; i < 20 && world.traffic.ledger.refused === 0; i += 1) await world.traffic.burst(100)
      await start(world)
    },
  },
  {
    name: 'read-only replica',
    break: ({ redis }) => redis.command('REPLICAOF', '127.0.0.1', '1'),
    heal: ({ redis }) => redis.command('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'LOADING for seconds',
    async prepare({ redis }) {
      for (let i = 0; i < 500; i += 1) await redis.command('SET', `filler:${i}`, 'x')
    },
    async break({ redis }) {
      await redis.kill()
      await redis.start('--key-load-delay', '3000', '--loading-process-events-interval-bytes', '1024')
    },
    lastsMs: 0,
    heal: ({ redis }) => untilAnswers(redis),
  },
  {
    name: 'came back empty',
    async break(world) {
      const folder = await world.folderOf(world.redis)
      await world.redis.kill()
      await rm(folder, { recursive: true })
      await mkdir(folder)
    },
    heal: start,
  },
  {
    name: 'came back with an older snapshot',
    async break(world) {
      const restore = await takeSnapshot(world, world.redis)
      await pause(1_500)
      await world.redis.kill()
      await restore()
    },
    heal: start,
  },
  {
    name: 'cache came back with a snapshot from before a clear',
    servers: 2,
    async break(world) {
      const restore = await takeSnapshot(world, world.cacheRedis)
      await pause(300)
      await world.cacheRedis.kill()
      await restore()
    },
    heal: ({ cacheRedis }) => cacheRedis.start(),
  },
  {
    name: 'append-only file truncated',
    async break(world) {
      const file = await growingFile(world)
      await world.redis.kill()
      await truncate(file, (await stat(file)).size - 200)
    },
    heal: start,
  },
  {
    name: 'append-only file damaged in the middle, repaired',
    async break(world) {
      const file = await growingFile(world)
      await world.redis.kill()
      const bytes = await readFile(file)
      bytes.fill(0, Math.floor(bytes.byteLength / 2), Math.floor(bytes.byteLength / 2) + 50)
      await writeFile(file, bytes)
      const repair = spawn('redis-check-aof', ['--fix', file], { stdio: ['pipe', 'ignore', 'ignore'] })
      repair.stdin.end('y\n')
      await once(repair, 'close')
    },
    heal: start,
  },
  {
    name: 'SCRIPT FLUSH ten times a second',
    stays: true,
    break: (world) => flush(world, 100, 15, 'SCRIPT', 'FLUSH'),
    lastsMs: 0,
    heal: () => {},
  },
  {
    name: 'CLIENT KILL of every connection, once a second',
    stays: true, // each is opened again at once
    break: (world) => flush(world, 1_000, 4, 'CLIENT', 'KILL', 'TYPE', 'normal'),
    lastsMs: 0,
    heal: () => {},
  },
  {
    name: 'port taken by something that is not Redis',
    async break(world) {
      await world.redis.kill()
      const other = createServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
        world.atEnd(() => socket.destroy())
        other.once('stop', () => socket.destroy())
      }).listen(world.redis.port, '127.0.0.1')
      await once(other, 'listening')
      impostors.set(world, other)
      world.atEnd(() => other.close())
    },
    async heal(world) {
      const other = impostors.get(world)
      other?.emit('stop')
      other?.close()
      if (other) await once(other, 'close')
      await world.redis.start()
    },
  },
  {
    name: 'app restarted while Redis stays down',
    async break(world) {
      await world.redis.kill()
      await pause(1_000)
      await world.restartApp()
    },
    lastsMs: 1_000,
    heal: start,
  },
  {
    name: 'app killed (-9) while Redis answers',
    needs: 'a process of its own',
    break: (world) => world.restartApp('kill'),
    heal: () => {},
  },
  {
    name: 'app killed (-9) during the outage',
    needs: 'a process of its own',
    async break(world) {
      await world.redis.kill()
      await pause(1_000)
      await world.restartApp('kill')
    },
    lastsMs: 1_000,
    heal: start,
  },
  {
    name: 'app killed (-9) during the merge',
    needs: 'a process of its own',
    through: 'proxy', // so slow that the merge can be met
    break: kill,
    async heal(world) {
      world.proxy.set({ latency: 60 })
      await world.redis.start()
      await eventually(
        async () => {
          if (world.subject().status() === 'merging') await pause(100)
          if (world.subject().status() !== 'merging') throw new Error('it does not merge')
        },
        HUNG_MS,
        1,
      )
      await world.restartApp('kill')
      world.proxy.set({})
    },
  },
  {
    name: 'disk full under the append-only file',
    disk: 'small',
    async break({ redis, folderOf }) {
      fillDisk(join(await folderOf(redis), 'filler'))
    },
    async heal({ redis, folderOf }) {
      await rm(join(await folderOf(redis), 'filler'))
    },
  },
  {
    name: 'clock stepped back an hour',
    async break({ redis, stepClock }) {
      stepClock(-HOUR_MS)
      await redis.kill()
    },
    heal: start,
  },
  {
    name: 'emptied while it runs (FLUSHALL)',
    break: ({ redis }) => redis.command('FLUSHALL'),
    heal: () => {},
  },
  { name: 'no fault at all', stays: true, break: () => {}, lastsMs: 2_500, heal: () => {} },
]

const impostors = new WeakMap<World, ReturnType<typeof createServer>>()
