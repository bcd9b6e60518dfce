// The channels of this process. What is too old is forgotten, with the channels that nobody listens to and that remember nothing.
import { MINUTE, type Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { BusMessage } from './bus.ts'
import type { createLine, Line } from './channel.ts'
import { createHistories } from './histories.ts'

const SWEEP_MS = MINUTE / 2

export interface Lines {
  find(channel: string): Line | undefined
  open(channel: string): Line
  all(): Iterable<Line>
  close(): void
}

export interface LinesOptions {
  createLine: typeof createLine
  log: Log
  now?: Now
}

export function createLines({ createLine, log, now = Date.now }: LinesOptions): Lines {
  const lines = new Map<string, Line>()
  const histories = createHistories<BusMessage>(now)
  const idle = new Set<string>() // for a whole sweep: who opened one may be about to use it

  function sweep(): void {
    histories.forgetOld()
    for (const [channel, line] of lines) {
      line.forgetOld()
      if (!line.isIdle()) idle.delete(channel)
      else if (!idle.has(channel)) idle.add(channel)
      else {
        idle.delete(channel)
        lines.delete(channel)
      }
    }
  }
  const timer = setInterval(sweep, SWEEP_MS).unref()

  return {
    find: (channel) => lines.get(channel),
    open(channel) {
      idle.delete(channel)
      const known = lines.get(channel)
      if (known) return known
      const line = createLine(channel, { log, now, histories })
      lines.set(channel, line)
      return line
    },
    all: () => lines.values(),
    close: () => clearInterval(timer),
  }
}
