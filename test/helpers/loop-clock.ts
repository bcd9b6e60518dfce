// Two measures of this thread's event loop, for what runs on it beside its test. The clock counts the turns of the
// loop, at most MOST_MS of each: it runs while a call waits for something, and slows down where this thread gets little
// of the processor. What it cannot see, a turn that blocks the loop, is judged by the processor time that it took.
import { createHash } from 'node:crypto'

const PAUSE_MS = 10
const MOST_MS = 2 * PAUSE_MS
const MICROSECONDS = 1_000

export interface LoopClock {
  /** Milliseconds since its start; as fine as a turn, some 10 ms. */
  elapsedMs(): number
  /** The longest turn since its start, in units of `unitOfWork`. */
  longestTurn(): number
  stop(): void
}

export function startLoopClock(): LoopClock {
  const unitMs = unitOfWork()
  let [elapsedMs, longestMs] = [0, 0]
  let [beganAt, cpuAt] = [performance.now(), cpuMs()]
  const timer = setInterval(() => {
    const [now, cpu] = [performance.now(), cpuMs()]
    elapsedMs += Math.min(now - beganAt, MOST_MS)
    longestMs = Math.max(longestMs, cpu - cpuAt)
    beganAt = now
    cpuAt = cpu
  }, PAUSE_MS)
  return {
    elapsedMs: () => elapsedMs,
    longestTurn: () => longestMs / unitMs,
    stop: () => clearInterval(timer),
  }
}

/** Processor time of this thread, ms. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / MICROSECONDS
}

/** What one MiB of SHA-256 takes of this processor, ms. The system counts in steps of some ms: hence many. */
function unitOfWork(): number {
  const bytes = Buffer.alloc(1 << 20, 7)
  const before = cpuMs()
  let units = 0
  while (cpuMs() - before < 50) {
    createHash('sha256').update(bytes).digest()
    units += 1
  }
  return (cpuMs() - before) / units
}
