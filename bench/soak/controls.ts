// Asks the two controls all the while: /livez of the app, and the bare server beside it.
import { pause } from '../../src/lib/time.ts'
import type { Ledger } from './ledger.ts'
import type { Stage } from './stage.ts'
import { BESIDE_BARE, BESIDE_LIVEZ, type Call, judgeSlow } from './timings.ts'

const EVERY_MS = 100
const PATIENCE_MS = 30_000
/** Longer than any call may be under way. */
const KEPT_MS = 60_000

export interface Controls {
  /** Holds the calls against what the controls took around them. */
  judge(calls: readonly Call[]): void
  /** How long each took, ms. */
  readonly livezMs: number[]
  readonly bareMs: number[]
  /** Resolves when the last question has been answered. */
  stop(): Promise<void>
}

export function startControls(stage: Stage, ledger: Ledger): Controls {
  const [livez, bare]: [Call[], Call[]] = [[], []]
  const [livezMs, bareMs]: [number[], number[]] = [[], []]
  let judged = 0
  let isOn = true

  async function keepAsking(name: string, url: () => string, calls: Call[], tookMs: number[]): Promise<void> {
    while (isOn) {
      const startMs = Date.now()
      const failure = await ask(url()).catch((error) => String(error))
      const endMs = Date.now()
      if (stage.gapBetween(startMs, endMs) === undefined) {
        calls.push({ name, startMs, endMs })
        tookMs.push(endMs - startMs)
        if (failure) ledger.add({ kind: 'no answer', words: `${name}: ${failure}` })
      }
      await pause(EVERY_MS)
    }
  }
  const asking = [
    keepAsking('/livez', () => `${stage.current().origin()}/livez`, livez, livezMs),
    keepAsking('bare server', () => stage.bare.origin(), bare, bareMs),
  ]

  return {
    livezMs,
    bareMs,
    judge(calls) {
      const fresh = livez.filter(({ endMs }) => endMs > judged)
      judged = fresh.at(-1)?.endMs ?? judged
      for (const wrong of judgeSlow(calls, livez, BESIDE_LIVEZ)) ledger.add(wrong)
      for (const wrong of judgeSlow(fresh, bare, BESIDE_BARE)) ledger.add(wrong)
      for (const kept of [livez, bare]) {
        const old = kept.findIndex(({ startMs }) => startMs > Date.now() - KEPT_MS)
        kept.splice(0, Math.max(0, old))
      }
    },
    async stop() {
      isOn = false
      await Promise.all(asking)
    },
  }
}

/** What was wrong with the answer, if anything. */
async function ask(url: string): Promise<string | undefined> {
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) })
  await response.arrayBuffer()
  return response.status === 200 ? undefined : String(response.status)
}
