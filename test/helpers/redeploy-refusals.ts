// When changes are refused at every door, which is another thing than answers that come late.
import type { Door } from './redeploy-ledger.ts'

export function createRefusals() {
  const refusing = new Set<Door>()
  let window: { readonly fromMs: number; lastMs: number } | undefined
  let [untilAckMs, sumMs] = [0, 0]
  return {
    refused(door: Door, doors: ReadonlySet<Door>, nowMs: number): void {
      refusing.add(door)
      if (window) window.lastMs = nowMs
      else if ([...doors].every((each) => refusing.has(each))) window = { fromMs: nowMs, lastMs: nowMs }
    },
    taken(door: Door, nowMs: number): void {
      refusing.delete(door)
      if (!window) return
      untilAckMs = Math.max(untilAckMs, nowMs - window.fromMs)
      sumMs += window.lastMs - window.fromMs
      window = undefined
    },
    told: () => ({ refusedUntilAckMs: Math.round(untilAckMs), refusedMs: Math.round(sumMs) }),
  }
}
