// Whether anybody still waits: a signal for each request, aborted when its client has gone before the answer. It
// follows the request through its asynchronous calls; queues ask for it, and forget whom they would serve in vain.
import { AsyncLocalStorage } from 'node:async_hooks'

const signals = new AsyncLocalStorage<AbortSignal | undefined>()

/** Runs the work of a request that `signal` ends; undefined for work that goes on without it. */
export function withRequestSignal<T>(signal: AbortSignal | undefined, work: () => T): T {
  return signals.run(signal, work)
}

/** The present request's signal; undefined outside requests. */
export function requestSignal(): AbortSignal | undefined {
  return signals.getStore()
}
