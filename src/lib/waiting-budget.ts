// How long one request waits for Redis in all: no longer than for one command, however many it makes. Its first command has
// the whole budget, each later one what is left; time in which several are under way counts once. The budget follows the
// request through its asynchronous calls and ends with it: what goes on then is not limited.
import { AsyncLocalStorage } from 'node:async_hooks'
import { createDeadlines } from './deadlines.ts'

interface Waiting {
  readonly budgetMs: number
  /** Before the commands under way. */
  usedMs: number
  underWay: number
  /** When the first of those began, by `deadlines.readableMs`. */
  sinceMs: number
  hasEnded: boolean
}

const requests = new AsyncLocalStorage<Waiting | undefined>()
const deadlines = createDeadlines() // of all requests: one may wait for two connections at once

/** Does the work of one request; it calls `end` when the request is over. */
export function limitWaiting(budgetMs: number, work: (end: () => void) => void): void {
  const waiting: Waiting = { budgetMs, usedMs: 0, underWay: 0, sinceMs: 0, hasEnded: false }
  requests.run(waiting, work, () => {
    waiting.hasEnded = true
  })
}

/** Does what no request waits for, though one began it. */
export function unlimited<T>(work: () => T): T {
  return requests.run(undefined, work)
}

/** Whether the present request may wait for one more command; true outside requests. */
export function mayWait(): boolean {
  const waiting = requests.getStore()
  return waiting === undefined || waiting.hasEnded || leftMs(waiting) > 0
}

/** The command's answer; or a rejection, once the present request has waited long enough. */
export function waitFor<T>(command: Promise<T>, tooLong: () => Error): Promise<T> {
  const waiting = requests.getStore()
  if (!waiting || waiting.hasEnded) return command
  return new Promise((resolve, reject) => {
    // The first one is judged by its own budget alone, which says what Redis is like.
    const isFirst = waiting.usedMs === 0 && waiting.underWay === 0
    const settle = deadlines.start(isFirst ? Number.POSITIVE_INFINITY : leftMs(waiting), () => {
      if (waiting.hasEnded) return
      end()
      reject(tooLong())
    })
    begin(waiting)
    let isUnderWay = true
    function end(): void {
      if (isUnderWay && waiting) finish(waiting)
      isUnderWay = false
      settle()
    }
    command.finally(end).then(resolve, reject)
  })
}

function begin(waiting: Waiting): void {
  if (waiting.underWay === 0) waiting.sinceMs = deadlines.readableMs()
  waiting.underWay += 1
}

function finish(waiting: Waiting): void {
  waiting.underWay -= 1
  if (waiting.underWay === 0) waiting.usedMs += deadlines.readableMs() - waiting.sinceMs
}

function leftMs({ budgetMs, usedMs, underWay, sinceMs }: Waiting): number {
  return budgetMs - usedMs - (underWay === 0 ? 0 : deadlines.readableMs() - sinceMs)
}
