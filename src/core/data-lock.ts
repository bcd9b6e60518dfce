// Whether this container may write what lasts. During a redeploy two containers share the data directory for a
// moment; the image's guard holds the lock (flock) and says so in one word, which is read here. What this process
// has to say to the guard is a file below app/ with its pid as name:
//
//   ready    it listens, and has read what it could: the guard may ask the holder for the lock
//   open     the lock is ours, and its files are open: the state's Redis may start
//   closed   it has been asked to let go, has finished the changes under way, and its files are closed
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDrainGate, type DrainGate } from '../lib/async/drain-gate.ts'
import { handingOver } from './errors.ts'

const POLL_MS = 50
/** How long changes that are under way may take when the lock is asked for: other changes are refused. */
const DRAIN_MS = 500

/**
 * `waiting`: another container writes. `held`: we may. `draining`: our files are closed, the lock is about to be given
 * up. `released`: it is; it comes back when the other container has died.
 */
export type DataLockState = 'waiting' | 'held' | 'draining' | 'released'

export interface DataLock {
  state(): DataLockState
  /** Calls back at each change. What is open is closed, and what may be opened is opened, before it returns. */
  onChange(listener: (state: DataLockState) => void): void
  /** What every change of what lasts goes through: `handing_over` unless the lock is held, and not asked back. */
  readonly changes: DrainGate
  /** This process listens, and has read what it could. */
  ready(): void
  close(): void
}

const TOLD: Record<DataLockState, string> = {
  waiting: 'ready',
  held: 'open',
  draining: 'closed',
  released: 'closed',
}

/** Without a run directory (outside the image) nobody else is there: the lock is always held. */
export function createDataLock(runDir: string | undefined): DataLock {
  if (!runDir) {
    const changes = createDrainGate(handingOver)
    return { state: () => 'held', onChange: () => {}, changes, ready: () => {}, close: () => {} }
  }
  const listeners: ((state: DataLockState) => void)[] = []
  const own = join(runDir, 'app', String(process.pid))
  let state = readWord(runDir)
  let isReady = false
  let isDraining = false
  const changes = createDrainGate(handingOver, state === 'held')

  function tellGuard(): void {
    if (!isReady) return
    mkdirSync(join(own, '..'), { recursive: true })
    writeFileSync(`${own}.new`, TOLD[state])
    renameSync(`${own}.new`, own)
  }

  function become(next: DataLockState): void {
    const isOther = next !== state
    state = next
    if (isOther) for (const listener of listeners) listener(next)
    if (next === 'held') changes.open()
    tellGuard()
  }

  const timer = setInterval(() => {
    const next = readWord(runDir)
    if (isDraining || next === state) return
    if (state !== 'held') return become(next)
    isDraining = true
    changes.close(DRAIN_MS, () => {
      isDraining = false
      become(readWord(runDir)) // it may be ours again: the other container has died
    })
  }, POLL_MS).unref()

  return {
    state: () => state,
    onChange(listener) {
      listeners.push(listener)
    },
    changes,
    ready() {
      isReady = true
      tellGuard()
    },
    close() {
      clearInterval(timer)
      rmSync(own, { force: true })
    },
  }
}

function readWord(runDir: string): DataLockState {
  try {
    const word = readFileSync(join(runDir, 'data'), 'utf8').trim()
    if (word === 'leaving') return 'held' // only the cache's Redis ends yet
    if (word === 'held' || word === 'draining' || word === 'released') return word
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return 'waiting' // the guard has not spoken yet
}
