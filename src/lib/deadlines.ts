// Time budgets for many short calls, kept by one sweep instead of one timer a call; one for the process, as it has one
// event loop. Only time in which an answer could have been read counts: a sweep that runs late (event loop stalled,
// container throttled) lets pending I/O be read first, and counts no more than one and a half sweeps.

const SWEEP_MS = 20
const MOST_MS = SWEEP_MS * 1.5

interface Deadline {
  /** By `readableMs`. */
  readonly atMs: number
  readonly expire: () => void
  isSettled: boolean
}

let pending: Deadline[] = [] // and those that were settled since the last sweep: to take out each by itself costs more
let countedMs = 0 // until the last sweep
let sweptAtMs = 0
let timer: NodeJS.Timeout | undefined

/** The time that has counted so far, ms. It goes on while a deadline is pending. */
export function readableMs(): number {
  return countedMs + Math.min(performance.now() - sweptAtMs, MOST_MS)
}

/** Calls `expire` unless the returned function was called within the budget. */
export function startDeadline(budgetMs: number, expire: () => void): () => void {
  if (!timer) {
    sweptAtMs = performance.now()
    timer = setInterval(sweep, SWEEP_MS)
  }
  const deadline = { atMs: readableMs() + budgetMs, expire, isSettled: false }
  pending.push(deadline)
  return () => {
    deadline.isSettled = true
  }
}

function sweep(): void {
  countedMs = readableMs()
  sweptAtMs = performance.now()
  setImmediate(judge) // after the poll phase: what has arrived is read before anything is judged
}

function judge(): void {
  const open = pending.filter(({ isSettled }) => !isSettled)
  pending = open.filter(({ atMs }) => atMs > countedMs)
  for (const deadline of open) {
    // Another one that expires may have settled this one.
    if (deadline.atMs <= countedMs && !deadline.isSettled) deadline.expire()
  }
  if (pending.length > 0) return
  clearInterval(timer)
  timer = undefined
}
