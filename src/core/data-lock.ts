// Whether this container may write what lasts. During a redeploy two containers share the data directory for a
// moment; the image's guard holds the lock (flock) and says so in one word, which is read here.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const POLL_MS = 500

/** `waiting`: another container writes. `held`: we may. `draining`: stop writing now. `released`: never again. */
export type DataLockState = 'waiting' | 'held' | 'draining' | 'released'

export interface DataLock {
  state(): DataLockState
  /** Calls back at each change, at most half a second after it. */
  onChange(listener: (state: DataLockState) => void): void
  close(): void
}

/** Without a run directory (outside the image) nobody else is there: the lock is always held. */
export function createDataLock(runDir: string | undefined): DataLock {
  if (!runDir) return { state: () => 'held', onChange: () => {}, close: () => {} }
  const path = join(runDir, 'data')
  const listeners: ((state: DataLockState) => void)[] = []
  let state = readWord(path)
  const timer = setInterval(() => {
    const next = readWord(path)
    if (next === state) return
    state = next
    for (const listener of listeners) listener(next)
  }, POLL_MS).unref()
  return {
    state: () => state,
    onChange(listener) {
      listeners.push(listener)
    },
    close: () => clearInterval(timer),
  }
}

function readWord(path: string): DataLockState {
  try {
    const word = readFileSync(path, 'utf8').trim()
    if (word === 'held' || word === 'draining' || word === 'released') return word
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return 'waiting' // the guard has not spoken yet
}
