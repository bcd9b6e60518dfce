// What admission costs a request that is answered from the cache: the app's HTTP server with it and without it, and
// without it once more, which shows what the measuring itself adds. By the servers' CPU time; all three are asked at the
// same time and share one core, so that what others do on the machine changes all of them alike.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Order, Outcome } from './load-generator.ts'
import { type Script, threadsMs } from './processes.ts'
import { type Benchmark, formatCount } from './report.ts'
import { formatMiddle, median } from './statistics.ts'

const CONNECTIONS = 20
const ROUNDS = 40
const ROUND_S = 1
const WARM_UP_S = 3
const BODY_BYTES = 20_000
const ROUTE = '/api/cached'

export const admission: Benchmark = {
  summary: 'a cached answer with admission and without it',
  async run(processes) {
    const file = join(processes.makeFolder(), 'body.json')
    writeFileSync(file, JSON.stringify('x'.repeat(BODY_BYTES)))
    const env = { BODY_FILE: file, ROUTE }
    const envs = [env, { ...env, NO_ADMISSION: 'yes' }, { ...env, NO_ADMISSION: 'yes' }]
    const contenders: Contender[] = []
    for (const own of envs) {
      const server = await processes.startScript('bench/peers/cached-route.ts', own)
      contenders.push({ server, generator: await processes.startScript('bench/load-generator.ts') })
      keepOnOneCore(server.pid)
    }
    const perRequest = contenders.map((): number[] => [])
    for (let round = -1; round < ROUNDS; round += 1) {
      const seconds = round < 0 ? WARM_UP_S : ROUND_S
      const spent = await Promise.all(contenders.map((one) => microsecondsARequest(one, seconds)))
      if (round >= 0) for (const [i, each] of spent.entries()) perRequest[i]!.push(each)
    }
    const [withIt = [], without = [], again = []] = perRequest
    return [
      {
        title: `GET ${ROUTE}: ${BODY_BYTES} bytes from the cache, ${CONNECTIONS} connections`,
        columns: ['', 'server CPU a request, µs', '÷ without (middle half)'],
        rows: [
          ['with admission', formatCount(median(withIt)), formatMiddle(withIt, without)],
          ['without', formatCount(median(without)), formatMiddle(without, without)],
          ['without, once more', formatCount(median(again)), formatMiddle(again, without)],
        ],
        note: `${ROUNDS} rounds of ${ROUND_S} s, all three at once; medians. A real route does more for each request.`,
      },
    ]
  },
}

interface Contender {
  readonly server: Script
  readonly generator: Script
}

/** So that all of them have the same neighbours. Where there is no taskset, the spread is wider. */
function keepOnOneCore(pid: number): void {
  spawnSync('taskset', ['-a', '-p', '-c', '0', String(pid)], { stdio: 'ignore' })
}

async function microsecondsARequest({ server, generator }: Contender, durationS: number): Promise<number> {
  const order: Order = { url: `http://127.0.0.1:${server.port}${ROUTE}`, connections: CONNECTIONS, durationS }
  const before = threadsMs(server.pid)
  const { requests, failures } = await generator.ask<Outcome>(order)
  if (failures > 0) throw new Error(`${failures} of ${requests} requests failed`)
  return ((threadsMs(server.pid) - before) / requests) * 1_000
}
