// node bench/state-cpu.ts <another checkout> [pairs]: the CPU time of operations of the state, of the process and of its
// Redis, here and in another checkout: the two in turn, each time in a new process with a new Redis.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { createProcesses } from './processes.ts'
import { median } from './statistics.ts'

const CALLERS = 16
const CALLS = 8_000
const WARM_UP_CALLS = 4_000
const BODY = Buffer.alloc(400, 'x')
const HOUR = 3_600_000

type Figures = Record<string, number>

const [mode, root = '', count = '10'] =
  process.argv[2] === '--side' ? process.argv.slice(2) : ['--pairs', ...process.argv.slice(2)]
if (mode === '--side') process.stdout.write(JSON.stringify(await measure(root)))
else if (root === '') process.stderr.write('node bench/state-cpu.ts <another checkout> [pairs]\n')
else await comparePairs(resolve(root), Number(count))

async function comparePairs(other: string, pairs: number): Promise<void> {
  const here = resolve(import.meta.dirname, '..')
  const found: Record<'before' | 'after', Figures[]> = { before: [], after: [] }
  for (let pair = 0; pair < pairs; pair += 1) {
    const order = pair % 2 === 0 ? (['before', 'after'] as const) : (['after', 'before'] as const)
    for (const side of order) found[side].push(await run(side === 'after' ? here : other))
  }
  for (const name of Object.keys(found.after[0] ?? {})) {
    const of = (side: 'before' | 'after') => found[side].map((figures) => figures[name] ?? Number.NaN)
    const ratios = of('after').map((value, i) => value / (of('before')[i] ?? Number.NaN))
    const [before, after] = [median(of('before')), median(of('after'))].map((us) => us.toFixed(1))
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(3))
    process.stdout.write(
      `| ${name} | ${before} | ${after} | ${median(ratios).toFixed(3)} (${low}–${high}) |\n`,
    )
  }
}

async function run(checkout: string): Promise<Figures> {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, '--side', checkout])
  return JSON.parse(stdout) as Figures
}

async function measure(checkout: string): Promise<Figures> {
  const load = (path: string) => import(join(checkout, path))
  const [{ openSamovar }, { createDataLock }, { sessionKeys }, { parseRedisUrl }, { createLog }] =
    await Promise.all(
      [
        'src/core/samovar.ts',
        'src/core/data-lock.ts',
        'src/features/sessions/session-keys.ts',
        'src/lib/redis-url.ts',
        'src/log.ts',
      ].map(load),
    )
  const processes = createProcesses()
  const figures: Figures = {}
  try {
    // 1: what memory has is not asked for; 2: Redis is asked each time.
    for (const workers of [1, 2]) {
      const redis = await processes.startRedis('--appendonly', 'yes')
      const dataDir = await mkdtemp(join(tmpdir(), 'samovar-bench-'))
      const samovar = openSamovar({
        mode: 'embedded',
        redis: {
          cache: undefined,
          state: parseRedisUrl(redis.socketUrl),
          hasStateServer: true,
          ca: undefined,
          budgetMs: 1_000,
          prefix: 'samovar:',
        },
        keys: [sessionKeys],
        cache: { enabled: true },
        workers,
        memoryBudgetBytes: 64 * 1024 * 1024,
        dataDir,
        dataLock: createDataLock(undefined),
        log: createLog({ level: 'silent', format: 'json' }),
      })
      samovar.start()
      while (samovar.roles.state.status().status !== 'redis') await new Promise((go) => setTimeout(go, 20))
      const call = samovar.roles.state.redis.call
      const serverUs = async () => {
        const info: string = await call(async (client: { sendCommand(words: string[]): Promise<unknown> }) =>
          String(await client.sendCommand(['INFO', 'cpu'])),
        )
        const seconds = [...info.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)].map(([, text]) => Number(text))
        return seconds.reduce((total, each) => total + each, 0) * 1e6
      }
      const { state } = samovar
      const key = (i: number) => `session:${String(i % 2_000).padStart(64, '0')}`
      const operations: Record<string, (i: number) => Promise<unknown>> = {
        set: (i) => state.write(key(i), BODY, HOUR),
        get: (i) => state.read(key(i)),
        hit: (i) =>
          state.hit(`limit:bench:${i % 500}`, {
            id: `hit-${i}`,
            nowMs: Date.now(),
            limit: 1_000,
            windowMs: 60_000,
          }),
      }
      for (const [name, operation] of Object.entries(operations)) {
        await repeat(WARM_UP_CALLS, operation)
        const [before, serverBefore] = [process.cpuUsage(), await serverUs()]
        await repeat(CALLS, operation)
        const { user, system } = process.cpuUsage(before)
        const title = workers === 1 ? name : `${name}, several processes`
        figures[`${title}: process`] = (user + system) / CALLS
        figures[`${title}: with Redis`] = (user + system + (await serverUs()) - serverBefore) / CALLS
      }
      await samovar.close()
      await rm(dataDir, { recursive: true })
    }
  } finally {
    processes.close()
  }
  return figures
}

async function repeat(calls: number, operation: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const caller = async () => {
    while (next < calls) {
      next += 1
      await operation(next - 1)
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}
