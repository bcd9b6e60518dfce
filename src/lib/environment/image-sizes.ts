// How the memory of a container is divided among its two Redis servers and the processes of the app.

/** What is there whatever is configured: supervisor, pm2, and one process of Node without its heap. */
const FIXED_MB = 125
/** One more process of Node without its heap; measured, as the next number is (docs/operating.md, Memory). */
const PROCESS_MB = 55
/** The app starts and serves with 36 MiB of heap, and not with 32. */
const LEAST_HEAP_MB = 48
/** Where nobody has set a limit, the smallest plan that people rent is assumed, however large the machine. */
const ASSUMED_MB = 512
const LEAST_FREE_MB = 100
const MOST_HEAP_MB = 2_048
const SHARES = { state: 0.12, cache: 0.22, heap: 0.42 }

export interface Machine {
  /** Of the container; undefined where it has none. */
  readonly limitMb: number | undefined
  readonly hostMb: number
}

export interface Sizes {
  readonly workers: number
  readonly cacheMb: number
  readonly stateMb: number
  /** Of all processes together. */
  readonly heapMb: number
  /** Of each process: for cached values and the copy of state. */
  readonly budgetMb: number
  readonly source: string
  readonly warnings: readonly string[]
}

/**
 * 2 × state (an append-only file being rewritten) + cache, and a quarter more, + Node's heap + fixed costs fit into the
 * limit. There are no more processes than have the heap to start.
 */
export function sizesOf({ limitMb, hostMb }: Machine, wanted: number): Sizes {
  const isLimited = limitMb !== undefined && limitMb < hostMb
  const totalMb = isLimited ? limitMb : Math.min(hostMb, ASSUMED_MB)
  let workers = wanted
  while (workers > 1 && heapOf(totalMb, workers) < workers * LEAST_HEAP_MB) workers -= 1
  const freeMb = freeOf(totalMb, workers)
  const heapMb = heapOf(totalMb, workers)
  const limit = isLimited
    ? `the container’s limit of ${totalMb} MiB`
    : `the ${totalMb} MiB that are assumed without a limit`
  return {
    workers,
    cacheMb: Math.floor(freeMb * SHARES.cache),
    stateMb: Math.floor(freeMb * SHARES.state),
    heapMb,
    budgetMb: Math.floor(Math.floor(heapMb * 0.4) / workers) + 1,
    source: isLimited
      ? `the container's limit of ${totalMb} MiB`
      : `no limit on the container, assuming ${totalMb} MiB`,
    warnings:
      workers === wanted
        ? []
        : [
            `WEB_CONCURRENCY is ${wanted}, and ${limit} ${isLimited ? 'is' : 'are'} enough for ${workers}: so ` +
              `many are started. ${wanted} processes need ${neededFor(wanted)} MiB (docker run --memory)`,
          ],
  }
}

/**
 * The same beside a server of the user's, which is one more process with the same share of the heap as each of ours; no
 * process of ours where the memory is enough for one of both only.
 */
export function sizesBesideServer(machine: Machine, wanted: number): Sizes {
  const found = sizesOf(machine, wanted + 1)
  const workers = found.workers - 1
  return {
    ...found,
    workers,
    heapMb: Math.floor(found.heapMb / found.workers) * workers,
    warnings:
      workers === wanted
        ? []
        : [
            `WEB_CONCURRENCY is ${wanted}, and with the server beside the app the memory is enough for ${workers}: ` +
              `so many are started. With the server, ${wanted} need ${neededFor(wanted + 1)} MiB (docker run --memory)`,
          ],
  }
}

const freeOf = (totalMb: number, workers: number) =>
  Math.max(LEAST_FREE_MB, totalMb - FIXED_MB - (workers - 1) * PROCESS_MB)

const heapOf = (totalMb: number, workers: number) =>
  Math.min(
    Math.max(MOST_HEAP_MB, workers * LEAST_HEAP_MB),
    Math.floor(freeOf(totalMb, workers) * SHARES.heap),
  )

/** The memory that so many processes need, in MiB. */
export const neededFor = (workers: number) =>
  Math.ceil((workers * LEAST_HEAP_MB) / SHARES.heap) + FIXED_MB + (workers - 1) * PROCESS_MB
