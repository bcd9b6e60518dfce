// One call over HTTP: timed, judged, and noted. What has no answer, or one that says no, is in doubt: the caller is
// given nothing, and the ledger claims nothing.
import { judgeAnswer } from './judge.ts'
import type { Ledger } from './ledger.ts'
import type { Stage } from './stage.ts'
import type { Call } from './timings.ts'

/** A client that waits longer has given up. */
const PATIENCE_MS = 30_000

export interface Question {
  /** What the tables call it. */
  readonly name: string
  readonly path: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
  /** Statuses that are right; 200 alone unless said. */
  readonly expected?: readonly number[]
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly sentAtMs: number
  readonly receivedAtMs: number
}

/** How often each outcome was: a status, `code` of a refusal, or `in doubt`. */
export type Outcomes = Map<string, Map<string, number>>

export interface Caller {
  /** The answer, if it has a status that was expected. */
  ask(question: Question): Promise<Answer | undefined>
  /** Calls that can be held against a control: those outside of the gaps. Empties itself. */
  takeCalls(): Call[]
  readonly outcomes: Outcomes
  /** What the driver does to the next answer before it is judged; for plants. */
  spoilNext: ((seen: { status: number | undefined; startMs: number }) => void) | undefined
}

export function createCaller(stage: Stage, ledger: Ledger): Caller {
  const outcomes: Outcomes = new Map()
  let calls: Call[] = []

  function count(name: string, outcome: string): void {
    const counts = outcomes.get(name) ?? new Map<string, number>()
    outcomes.set(name, counts.set(outcome, (counts.get(outcome) ?? 0) + 1))
  }

  const caller: Caller = {
    outcomes,
    spoilNext: undefined,
    takeCalls() {
      const taken = calls
      calls = []
      return taken
    },
    async ask({ name, path, method = 'GET', headers = {}, body, expected = [200] }) {
      const seen = { status: undefined as number | undefined, startMs: Date.now() }
      const sentAtMs = seen.startMs
      let [text, failure, answered] = ['', '', new Headers()]
      try {
        const response = await fetch(`${stage.origin()}${path}`, {
          method,
          headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
          body: body ?? null,
          redirect: 'manual',
          signal: AbortSignal.timeout(PATIENCE_MS),
        })
        text = await response.text()
        seen.status = response.status
        answered = response.headers
      } catch (error) {
        failure = reasonOf(error)
      }
      const receivedAtMs = Date.now()
      const spoil = caller.spoilNext
      caller.spoilNext = undefined
      spoil?.(seen)
      const { status } = seen
      const gap = stage.gapBetween(sentAtMs, receivedAtMs)
      const code = status !== undefined && status >= 400 ? codeOf(text) : undefined
      ledger.add(judgeAnswer({ name, status, code, expected, gap, failure }))
      count(
        name,
        status === undefined ? 'in doubt' : status >= 500 ? (code ?? String(status)) : String(status),
      )
      if (gap === undefined && status !== undefined)
        calls.push({ name, startMs: seen.startMs, endMs: receivedAtMs })
      if (status === undefined || !expected.includes(status)) return undefined
      return { status, headers: answered, text, sentAtMs, receivedAtMs }
    },
  }
  return caller
}

function codeOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { code?: string }).code
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as { message: string; cause?: { code?: string; message?: string } }
  return cause ? `${message}: ${cause.code ?? cause.message}` : message
}
