// A time budget for many short calls, kept by one sweep instead of one timer a call.
// Only time in which an answer could have been read counts: a sweep that runs late (event loop stalled, container
// throttled) lets pending I/O be read first, and charges the calls no more than one and a half sweeps.

const SWEEP_MS = 20

interface Pending {
  readonly startedAtMs: number
  readonly expire: () => void
  settled: boolean
}

export interface Deadlines {
  /** Calls `expire` unless the returned function was called within the budget. */
  start(expire: () => void): () => void
  /** Drops every pending call without expiring it. */
  clear(): void
}

export function createDeadlines(budgetMs: number): Deadlines {
  let queue: Pending[] = [] // one budget for all, so the oldest is always first
  let head = 0
  let activeMs = 0 // time that counted so far
  let sweptAtMs = 0
  let timer: NodeJS.Timeout | undefined

  function sweep() {
    const nowMs = performance.now()
    activeMs += Math.min(nowMs - sweptAtMs, SWEEP_MS * 1.5)
    sweptAtMs = nowMs
    setImmediate(judge) // after the poll phase: what has arrived is read before anything is judged
  }

  function judge() {
    for (let first = queue[head]; first; first = queue[head]) {
      if (!first.settled) {
        if (activeMs - first.startedAtMs < budgetMs) break
        first.settled = true
        first.expire()
      }
      head += 1
    }
    if (head === queue.length) clear()
    else if (head > 1_024 && head * 2 > queue.length) {
      queue = queue.slice(head)
      head = 0
    }
  }

  function clear() {
    queue = []
    head = 0
    clearInterval(timer)
    timer = undefined
  }

  return {
    start(expire) {
      const pending: Pending = { startedAtMs: activeMs, expire, settled: false }
      queue.push(pending)
      if (!timer) {
        sweptAtMs = performance.now()
        timer = setInterval(sweep, SWEEP_MS)
      }
      return () => {
        pending.settled = true
      }
    },
    clear,
  }
}
