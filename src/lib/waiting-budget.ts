// How long one request waits for Redis in all: no longer than for one command, however many it makes. The budget follows
// the request through its asynchronous calls, and ends with it: what goes on then is not limited. Time in which several
// commands are under way counts once.
import { AsyncLocalStorage } from 'node:async_hooks'
import { readableMs, startDeadline } from './deadlines.ts'

interface Waiting {
  /** When the commands under way began; `Infinity` once the request has ended. */
  leftMs: number
  underWay: number
  /** When the first of them began, by `readableMs`. */
  sinceMs: number
}

const requests = new AsyncLocalStorage<Waiting | undefined>()
const nothing = (): void => {}

/** Does the work of one request; it calls `end` when the request is over. */
export function limitWaiting(budgetMs: number, work: (end: () => void) => void): void {
  const waiting: Waiting = { leftMs: budgetMs, underWay: 0, sinceMs: 0 }
  requests.run(waiting, work, () => {
    waiting.leftMs = Number.POSITIVE_INFINITY
  })
}

/** Does what no request waits for, though one began it. */
export function unlimited<T>(work: () => T): T {
  return requests.run(undefined, work)
}

/** Whether the present request may wait for one more command. */
export function mayWait(): boolean {
  const waiting = requests.getStore()
  return waiting === undefined || leftOf(waiting) > 0
}

/**
 * The present request waits for a command, until the returned function is called. Calls `expire` instead when it has
 * waited long enough. Outside requests nothing is limited.
 */
export function startWaiting(expire: () => void): () => void {
  const waiting = requests.getStore()
  if (!waiting || waiting.leftMs === Number.POSITIVE_INFINITY) return nothing
  const settle = startDeadline(leftOf(waiting), () => {
    stop()
    if (waiting.leftMs !== Number.POSITIVE_INFINITY) expire()
  })
  if (waiting.underWay === 0) waiting.sinceMs = readableMs()
  waiting.underWay += 1
  let isOver = false
  function stop(): void {
    if (isOver || !waiting) return
    isOver = true
    settle()
    waiting.underWay -= 1
    if (waiting.underWay === 0) waiting.leftMs -= readableMs() - waiting.sinceMs
  }
  return stop
}

/**
 * A command begins, with a budget of its own: calls `expire` when that is used up, or that of the request which waits for
 * it, unless the returned function was called before.
 */
export function startCommand(budgetMs: number, expire: (whose: 'own' | 'request') => void): () => void {
  if (!requests.getStore()) return startDeadline(budgetMs, () => expire('own'))
  const settle = startDeadline(budgetMs, () => {
    stopWaiting()
    expire('own')
  })
  const stopWaiting = startWaiting(() => {
    settle()
    expire('request')
  })
  return () => {
    settle()
    stopWaiting()
  }
}

function leftOf({ leftMs, underWay, sinceMs }: Waiting): number {
  return underWay === 0 ? leftMs : leftMs - (readableMs() - sinceMs)
}
