// The deadline of a request: however many commands it sends, it waits for Redis as long as for one of them.
// The first command has the whole budget, each later one what is left; time in which several are under way counts once.
// The deadline follows the request through its asynchronous calls and ends with it: work that continues is not limited.
import { AsyncLocalStorage } from 'node:async_hooks'
import { createDeadlines } from './deadlines.ts'

interface RequestDeadline {
  readonly budgetMs: number
  /** Before the commands under way. */
  usedMs: number
  underWay: number
  /** When the first of those began, by `deadlines.readableMs`. */
  sinceMs: number
  hasEnded: boolean
}

const requests = new AsyncLocalStorage<RequestDeadline | undefined>()
const deadlines = createDeadlines() // of all requests: one may wait for two connections at a time

/** Runs the work of one request; it calls `end` when the request is over. */
export function withDeadline(budgetMs: number, work: (end: () => void) => void): void {
  const deadline: RequestDeadline = { budgetMs, usedMs: 0, underWay: 0, sinceMs: 0, hasEnded: false }
  requests.run(deadline, work, () => {
    deadline.hasEnded = true
  })
}

/** Runs work that no request waits for, though one began it. */
export function withoutDeadline<T>(work: () => T): T {
  return requests.run(undefined, work)
}

/** Whether the present request may wait for one more command; true outside requests. */
export function hasTimeLeft(): boolean {
  const deadline = requests.getStore()
  return deadline === undefined || deadline.hasEnded || leftMs(deadline) > 0
}

/** The command's answer; or a rejection, once the present request has waited long enough. */
export function waitFor<T>(command: Promise<T>, tooLong: () => Error): Promise<T> {
  const deadline = requests.getStore()
  if (!deadline || deadline.hasEnded) return command
  return new Promise((resolve, reject) => {
    // The first one has only its own budget, which tells whether Redis answers in time.
    const isFirst = deadline.usedMs === 0 && deadline.underWay === 0
    const cancel = deadlines.start(isFirst ? Number.POSITIVE_INFINITY : leftMs(deadline), () => {
      if (deadline.hasEnded) return
      end()
      reject(tooLong())
    })
    begin(deadline)
    let isUnderWay = true
    function end(): void {
      if (isUnderWay && deadline) finish(deadline)
      isUnderWay = false
      cancel()
    }
    command.then(
      (answer) => {
        end()
        resolve(answer)
      },
      (error) => {
        end()
        reject(error)
      },
    )
  })
}

function begin(deadline: RequestDeadline): void {
  if (deadline.underWay === 0) deadline.sinceMs = deadlines.readableMs()
  deadline.underWay += 1
}

function finish(deadline: RequestDeadline): void {
  deadline.underWay -= 1
  if (deadline.underWay === 0) deadline.usedMs += deadlines.readableMs() - deadline.sinceMs
}

function leftMs({ budgetMs, usedMs, underWay, sinceMs }: RequestDeadline): number {
  return budgetMs - usedMs - (underWay === 0 ? 0 : deadlines.readableMs() - sinceMs)
}
