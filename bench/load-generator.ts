// A process of its own that asks one URL for a while with autocannon and sends back what it saw.
import { createRequire } from 'node:module'
import { quantile } from './statistics.ts'

const SAMPLE_MS = 50 // a run ends with a sample

export interface Order {
  readonly url: string
  readonly connections: number
  readonly durationS: number
  readonly headers?: Readonly<Record<string, string>>
  /** What each answer must say; 200 unless given. */
  readonly status?: number
}

export interface Outcome {
  readonly requests: number
  readonly requestsPerSecond: number
  /** 99 of 100 requests were answered within this. */
  readonly p99Ms: number
  /** Answers of another status, resets and timeouts. */
  readonly failures: number
}

interface Run extends PromiseLike<{ errors: number }> {
  on(
    event: 'response',
    listener: (client: unknown, status: number, bytes: number, tookMs: number) => void,
  ): void
}
// autocannon ships no types; its own histogram counts whole milliseconds, too coarse for a p99 of 2 ms.
const autocannon = createRequire(import.meta.url)('autocannon') as (options: {
  url: string
  connections: number
  duration: number
  sampleInt: number
  headers: Readonly<Record<string, string>>
}) => Run

async function carryOut({
  url,
  connections,
  durationS,
  headers = {},
  status = 200,
}: Order): Promise<Outcome> {
  const startedAt = performance.now()
  const run = autocannon({ url, connections, duration: durationS, sampleInt: SAMPLE_MS, headers })
  const tookMs: number[] = []
  let others = 0
  run.on('response', (_client, answered, _bytes, ms) => {
    tookMs.push(ms)
    if (answered !== status) others += 1
  })
  const { errors } = await run
  return {
    requests: tookMs.length,
    requestsPerSecond: (tookMs.length / (performance.now() - startedAt)) * 1_000,
    p99Ms: quantile(tookMs, 0.99),
    failures: others + errors,
  }
}

process.on('message', (order: Order) => {
  carryOut(order).then((outcome) => process.send?.(outcome))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
