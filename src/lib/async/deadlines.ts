// Time budgets for many short calls, kept by one periodic sweep instead of a timer for each call.
// Only time in which an answer could have been read counts: a sweep that runs late (event loop stalled, container
// throttled) lets pending I/O be read first, and counts no more than one and a half sweeps.

const SWEEP_MS = 20
const MOST_MS = SWEEP_MS * 1.5

interface Deadline {
  /** By `readableMs`. */
  readonly atMs: number
  readonly expire: () => void
  isCancelled: boolean
}

export interface Deadlines {
  /** Calls `expire` unless the returned function, which cancels it, was called within the budget. */
  start(budgetMs: number, expire: () => void): () => void
  /** The time that has counted so far, ms. It advances while a call is pending. */
  readableMs(): number
  /** Expires every pending call now. */
  expireAll(): void
  /** Drops every pending call without expiring it. */
  clear(): void
}

/** What a call that is too late rejects with, unless its caller says it otherwise. */
const timedOut = () => new DOMException('The operation was aborted due to timeout', 'TimeoutError')

/**
 * What the work brings. Its signal aborts with a TimeoutError when the budget is used up, by time in which an answer
 * could have been read: an answer that came while the process stood still (SIGSTOP, a suspended or crowded host) is
 * read before it is judged, which `AbortSignal.timeout` does not.
 */
export async function withTimeout<T>(
  budgetMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const cancel = shared.start(budgetMs, () => abort.abort(timedOut()))
  try {
    return await work(abort.signal)
  } finally {
    cancel()
  }
}

export function createDeadlines(): Deadlines {
  let pending: Deadline[] = [] // with those cancelled since the last sweep: to remove each by itself costs more
  let countedMs = 0 // until the last sweep
  let sweptAtMs = 0
  let timer: NodeJS.Timeout | undefined

  const readableMs = () => countedMs + Math.min(performance.now() - sweptAtMs, MOST_MS)

  function sweep(): void {
    countedMs = readableMs()
    sweptAtMs = performance.now()
    setImmediate(judge) // after the poll phase: input that has arrived is read before anything is judged
  }

  function judge(): void {
    const running = pending.filter(({ isCancelled }) => !isCancelled)
    pending = running.filter(({ atMs }) => atMs > countedMs)
    if (pending.length === 0) clear()
    for (const { atMs, expire } of running) if (atMs <= countedMs) expire()
  }

  function clear(): void {
    pending = []
    clearInterval(timer)
    timer = undefined
  }

  return {
    start(budgetMs, expire) {
      if (!timer) {
        sweptAtMs = performance.now()
        timer = setInterval(sweep, SWEEP_MS).unref() // what is waited for keeps the process alive
      }
      const deadline = { atMs: readableMs() + budgetMs, expire, isCancelled: false }
      pending.push(deadline)
      return () => {
        deadline.isCancelled = true
      }
    },
    readableMs,
    expireAll() {
      const running = pending.filter(({ isCancelled }) => !isCancelled)
      clear()
      for (const { expire } of running) expire()
    },
    clear,
  }
}

/** Of all calls without an owner to drop them together: one sweep for all. */
const shared = createDeadlines()

/** The same as `start` of deadlines of one's own. */
export const startDeadline = shared.start

/** Drops them all: for a test whose own clock has ended, with which they would never be judged. */
export const dropDeadlines = shared.clear
