// A clock of the machine beside the test, for every bound in time. It is driven by a bare server on a thread of its
// own that is asked in rounds, and it counts at most MOST_MS of a round. So it stands still while the machine does
// and slows down where nobody gets a turn, but runs while the product, on another thread or in another process,
// keeps its callers waiting.
import { Worker } from 'node:worker_threads'

/** Milliseconds of the control clock since the stopwatch was started; as fine as a round, some 10 ms. */
export type Stopwatch = () => number

let starting: Promise<Float64Array> | undefined
let worker: Worker | undefined

// Jest keeps a process for many test files, each with a worker of its own; a benchmark has no afterAll, and ends as a
// whole.
if (typeof afterAll === 'function') {
  afterAll(async () => {
    const clock = await starting
    if (clock) clock[0] = Number.POSITIVE_INFINITY // what still waits by it has waited long enough
    await worker?.terminate()
  })
}

function startClock(): Promise<Float64Array> {
  const shared = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)
  worker = new Worker(new URL('./control-rounds.ts', import.meta.url), { workerData: shared })
  worker.unref()
  return new Promise((resolve, reject) => {
    worker?.once('message', () => resolve(new Float64Array(shared)))
    worker?.once('error', reject)
  })
}

/** The clock, started with the first call; reads its milliseconds. */
export async function controlClock(): Promise<Stopwatch> {
  starting ??= startClock()
  const clock = await starting
  return () => clock[0] as number
}

export async function startStopwatch(): Promise<Stopwatch> {
  const now = await controlClock()
  const startedAtMs = now()
  return () => now() - startedAtMs
}

/** How long the work took by the control clock, and its answer. */
export async function timed<T>(work: () => Promise<T>): Promise<{ tookMs: number; answer: T }> {
  const elapsedMs = await startStopwatch()
  const answer = await work()
  return { tookMs: elapsedMs(), answer }
}
