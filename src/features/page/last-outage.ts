// The last time Redis was away, as the page tells it: cache and state usually go together, and are one outage there.
import type { OutageReport } from '../../core/outages.ts'

/** A report of one role. */
export type RoleOutage = Pick<OutageReport, 'startedAt' | 'endedAt' | 'servedCalls'>

export interface PageOutage {
  readonly startedAt: string
  readonly endedAt: string | null
  /** Until now while it lasts. */
  readonly durationSeconds: number
  /** Calls that memory answered; null while it lasts: they are counted at its end. */
  readonly servedCalls: number | null
}

/** The newest of the reports, together with those that overlap it; undefined when there are none. */
export function lastOutage(reports: readonly RoleOutage[], nowMs: number): PageOutage | undefined {
  const [newest, ...earlier] = [...reports].sort((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt))
  if (!newest) return undefined
  const endOf = ({ endedAt }: RoleOutage) => (endedAt === null ? nowMs : Date.parse(endedAt))
  const together = [newest]
  for (const report of earlier) {
    if (together.some(({ startedAt }) => endOf(report) >= Date.parse(startedAt))) together.push(report)
  }
  const startedAt = together.at(-1)?.startedAt ?? newest.startedAt
  const endMs = Math.max(...together.map(endOf))
  const lasts = together.some(({ endedAt }) => endedAt === null)
  return {
    startedAt,
    endedAt: lasts ? null : new Date(endMs).toISOString(),
    durationSeconds: Math.max(0, Math.ceil((endMs - Date.parse(startedAt)) / 1_000)),
    servedCalls: lasts ? null : together.reduce((sum, { servedCalls }) => sum + servedCalls, 0),
  }
}
