// What admission costs a request that is answered from the cache: the app's HTTP server with it and without it, two
// processes that are asked in turn, round by round. By the server's CPU time, which other processes of the machine
// change less than requests a second.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Order, Outcome } from './load-generator.ts'
import { cpuMs, type Script } from './processes.ts'
import { type Benchmark, formatCount } from './report.ts'
import { formatRatio, median } from './statistics.ts'

const CONNECTIONS = 20
const ROUNDS = 15
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
    const generator = await processes.startScript('bench/load-generator.ts')
    const contenders = [
      await processes.startScript('bench/peers/cached-route.ts', env),
      await processes.startScript('bench/peers/cached-route.ts', { ...env, NO_ADMISSION: 'yes' }),
    ]
    const perRequest = contenders.map((): number[] => [])
    for (let round = -1; round < ROUNDS; round += 1) {
      // Who begins changes, so that what a round leaves behind is shared.
      const order = round % 2 === 0 ? [0, 1] : [1, 0]
      for (const i of order) {
        const cpu = await microsecondsARequest(contenders[i]!, generator, round < 0 ? WARM_UP_S : ROUND_S)
        if (round >= 0) perRequest[i]!.push(cpu)
      }
    }
    const [withIt = [], without = []] = perRequest
    return [
      {
        title: `GET ${ROUTE}: ${BODY_BYTES} bytes from the cache, ${CONNECTIONS} connections`,
        columns: ['', 'server CPU a request, µs', '÷ without (min–max)'],
        rows: [
          ['with admission', formatCount(median(withIt)), formatRatio(withIt, without)],
          ['without', formatCount(median(without)), formatRatio(without, without)],
        ],
        note: `${ROUNDS} pairs of rounds of ${ROUND_S} s; medians. A real route does more for each request.`,
      },
    ]
  },
}

async function microsecondsARequest(server: Script, generator: Script, durationS: number): Promise<number> {
  const order: Order = { url: `http://127.0.0.1:${server.port}${ROUTE}`, connections: CONNECTIONS, durationS }
  const before = cpuMs(server.pid)
  const { requests, failures } = await generator.ask<Outcome>(order)
  if (failures > 0) throw new Error(`${failures} of ${requests} requests failed`)
  return ((cpuMs(server.pid) - before) / requests) * 1_000
}
