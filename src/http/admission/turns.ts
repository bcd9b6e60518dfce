// Who may begin when the process has more to do than a moment holds. Requests begin as they come while the present turn
// of the event loop is short. Where it has become long they wait in line, some begin in each turn, and clients take
// turns: a client with few requests waits for a few others, not for a whole flood. Probes, as many as a platform
// asks, do not wait in line.
//
//   a turn took long    half as many begin in the next one, one at least
//   it was short        twice as many
//
// Node accepts one connection in a turn. So while some wait in line and others come in, turns without any beginning go
// before: who has just come, and may be the platform's probe, is not behind the work of those who came before.
import type { Client } from './clients.ts'

/** Nothing more begins in a turn that has lasted so long. */
const TURN_MS = 10
const LONG_TURN_MS = 25
/** So long may those in line wait for connections that come in. */
const MOST_ACCEPTING_MS = 30
/** Some reads of Redis are sent together where they come in one turn. */
const MOST_A_TURN = 64
/** So many that take next to no time are not looked at more closely; then every eighth of the turn is. */
const MOST_UNSEEN = 64
const MOST_UNTIMED = 8

type Begin = () => void

export interface Turns {
  /** A connection has come in. */
  connected(): void
  /** Calls it now, or in a later turn. */
  enter(client: Client, begin: Begin): void
  /** Whether what takes next to no time may be done now. */
  pass(): boolean
}

/** How long this process has run, ms: not while others did, or its share of the processor was used up. */
function ownMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

export function createTurns(
  nowMs: () => number = () => performance.now(),
  ranMs: () => number = ownMs,
): Turns {
  const lines = new Map<string, Begin[]>() // of networks and of addresses without one; whose turn is next comes first
  let isInTurn = false
  let beganAtMs = 0
  let ranAtMs = 0 // of `ranMs`, when the turn began
  let most = MOST_A_TURN
  let left = 0
  let waiting = 0
  let unseen = 0
  let hasConnected = false
  let begunAtMs = 0 // the last time that some of the line could begin

  const hasTime = () => left > 0 && nowMs() - beganAtMs < TURN_MS

  function start(): void {
    isInTurn = true
    beganAtMs = nowMs()
    ranAtMs = ranMs()
    left = most
  }

  function startFirst(): void {
    start()
    begunAtMs = beganAtMs
    hasConnected = false
    setImmediate(end)
  }

  function takeNext(): Begin | undefined {
    for (const [name, line] of lines) {
      const begin = line.shift()
      waiting -= 1
      lines.delete(name)
      if (line.length > 0) lines.set(name, line)
      return begin
    }
    return undefined
  }

  function beginNext(): void {
    if (!hasTime()) return
    left -= 1
    takeNext()?.()
  }

  function end(): void {
    most = nowMs() - beganAtMs > LONG_TURN_MS ? Math.max(1, most >> 1) : Math.min(MOST_A_TURN, most * 2)
    if (lines.size === 0) {
      isInTurn = false
      return
    }
    start()
    const isAccepting = hasConnected && beganAtMs - begunAtMs < MOST_ACCEPTING_MS
    hasConnected = false
    // One callback for each, so that what it makes is done before the next one looks at the clock.
    if (isAccepting) left = 0
    else {
      begunAtMs = beganAtMs
      for (let i = 0; i < Math.min(most, waiting); i += 1) setImmediate(beginNext)
    }
    setImmediate(end)
  }

  return {
    connected() {
      hasConnected = true
    },
    enter(client, begin) {
      if (!isInTurn) startFirst()
      if (lines.size === 0 && hasTime()) {
        left -= 1
        begin()
        return
      }
      waiting += 1
      const name = client.network ?? client.address
      const line = lines.get(name)
      if (line) line.push(begin)
      else lines.set(name, [begin])
    },
    pass() {
      if (lines.size > 0) return false
      unseen += 1
      if (unseen < (isInTurn ? MOST_UNTIMED : MOST_UNSEEN)) return true
      unseen = 0
      // Who waits in line costs more than an answer does: not because others ran.
      if (isInTurn) return hasTime() || ranMs() - ranAtMs < TURN_MS
      startFirst()
      return true
    },
  }
}
