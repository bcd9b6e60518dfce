// One call at a time for each key: callers that ask while it runs share it. It lives while one of them waits: when the
// requests of all have gone, its signal is aborted, and it is the present request's signal for whatever it calls.
import { requestSignal, withRequestSignal } from './request-signal.ts'

export interface SharedCalls<T> {
  /** Joins the call of this key that runs, or starts one. Rejects with `abandoned` when the caller has gone. */
  run(key: string, call: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Whether a caller would join one. */
  has(key: string): boolean
  /** Lets the next caller start a new one; those that already wait keep theirs. */
  forget(key: string): void
}

export interface SharedCallsOptions {
  /** How many run at a time, forgotten ones too. */
  most: number
  /** What one too many is refused with. */
  full: () => Error
  abandoned: () => Error
}

interface Shared<T> {
  wait(): Promise<T>
}

export function createSharedCalls<T>({ most, full, abandoned }: SharedCallsOptions): SharedCalls<T> {
  const calls = new Map<string, Shared<T>>()
  let running = 0

  function start(key: string, call: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const gone = new AbortController()
    let waiting = 0
    const shared: Shared<T> = { wait }
    const end = () => {
      running -= 1
      forgetOnly()
    }
    function forgetOnly(): void {
      if (calls.get(key) === shared) calls.delete(key)
    }
    running += 1
    calls.set(key, shared)
    const outcome = withRequestSignal(gone.signal, () => call(gone.signal)).finally(end)

    function wait(): Promise<T> {
      waiting += 1
      const signal = requestSignal()
      if (!signal) return outcome // work of our own never goes
      return new Promise((resolve, reject) => {
        function leave(): void {
          reject(abandoned())
          waiting -= 1
          if (waiting > 0) return
          forgetOnly()
          gone.abort()
        }
        if (signal.aborted) return leave()
        signal.addEventListener('abort', leave)
        const stay = () => signal.removeEventListener('abort', leave)
        outcome.finally(stay).then(resolve, reject)
      })
    }
    return shared
  }

  return {
    run(key, call) {
      const before = calls.get(key)
      if (before) return before.wait()
      if (requestSignal()?.aborted) return Promise.reject(abandoned())
      if (running >= most) return Promise.reject(full())
      return start(key, call).wait()
    },
    has: (key) => calls.has(key),
    forget: (key) => void calls.delete(key),
  }
}
