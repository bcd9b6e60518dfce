// Notices that the one thread is held up for a second, by a loop that does not end for example, and says where: while
// it is held up nothing in it can, so a second thread looks on (static/loop-watch.cjs). Runs only beside features of
// the user's own; it costs some 18 MiB.
import { Worker } from 'node:worker_threads'

const BEAT_MS = 100

/** A file's imports are compiled in one go, which takes its time on a quarter of a core. */
const LOADING_MS = 10_000
const SERVING_MS = 1_000

export interface LoopWatch {
  /** From now on requests wait for what takes long. */
  serving(): void
}

/** `dir`: whose places are said, rather than those of what they have called. */
export function watchLoop(dir: string): LoopWatch {
  const beats = new Int32Array(new SharedArrayBuffer(8))
  Atomics.store(beats, 1, LOADING_MS)
  setInterval(() => Atomics.add(beats, 0, 1), BEAT_MS).unref()
  const worker = new Worker(new URL('./static/loop-watch.cjs', import.meta.url), {
    workerData: { beats: beats.buffer, dir, isTerminal: process.stdout.isTTY === true },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
    execArgv: [],
    env: {},
  })
  worker.unref()
  worker.on('error', () => {}) // nobody looks on any more, and the app is none the worse
  return {
    serving: () => void Atomics.store(beats, 1, SERVING_MS),
  }
}
