// Whether anybody still waits: a signal for each request, aborted when its client has gone before the answer. It
// follows the request through its asynchronous calls; queues ask for it, and forget whom they would serve in vain.
import { AsyncLocalStorage } from 'node:async_hooks'

type Signal = AbortSignal | (() => AbortSignal) | undefined

const signals = new AsyncLocalStorage<Signal>()

/**
 * Runs the work of a request that `signal` ends, which may be made when it is first asked for; undefined for work that
 * goes on without it.
 */
export function withRequestSignal<T>(signal: Signal, work: () => T): T {
  return signals.run(signal, work)
}

/** The present request's signal; undefined outside requests. */
export function requestSignal(): AbortSignal | undefined {
  const signal = signals.getStore()
  return typeof signal === 'function' ? signal() : signal
}

/** A signal that is made when it is asked for: most requests ask for none, and one costs several microseconds. */
export function createLazySignal() {
  let abort: AbortController | undefined
  let isAborted = false
  return {
    signal(): AbortSignal {
      abort ??= new AbortController()
      if (isAborted) abort.abort()
      return abort.signal
    },
    abort(): void {
      isAborted = true
      abort?.abort()
    },
  }
}
