// One report for each outage of a role: when, why, what memory did meanwhile, what was merged, and what went wrong.
import { randomUUID } from 'node:crypto'
import type { StateDisk } from './state/disk/state-disk.ts'

const KEPT = 100

/** What GET /api/outages answers, newest first. Times are ISO 8601. */
export interface OutageReport {
  readonly id: string
  readonly role: 'cache' | 'state'
  readonly startedAt: string
  /** Null while it lasts. */
  readonly endedAt: string | null
  readonly durationMs: number | null
  readonly cause: string
  readonly servedCalls: number
  /** How many keys were merged into Redis, by the first word of their names. */
  readonly merged: Readonly<Record<string, number>>
  /** What was claimed meanwhile: deliveries, used logins. At most 100 key names. */
  readonly accepted: readonly string[]
  /** One sentence each. */
  readonly conflicts: readonly string[]
  /** Acknowledged writes of an earlier life of the process that could not be read from the journal any more. */
  readonly lost: number
  readonly note: string | null
}

export type OutageEnd = Pick<
  OutageReport,
  'servedCalls' | 'merged' | 'accepted' | 'conflicts' | 'lost' | 'note'
>

export interface Outages {
  /** `served` tells how many calls memory has answered in it so far. */
  began(role: 'cache' | 'state', cause: string, atMs: number, served: () => number): void
  ended(role: 'cache' | 'state', end: OutageEnd, atMs: number): OutageReport | undefined
  all(): readonly OutageReport[]
  /** From here on the disk is ours: earlier reports are learnt, present ones go there. */
  useDisk(disk: StateDisk | undefined): void
}

export function createOutages(): Outages {
  let reports: OutageReport[] = []
  let disk: StateDisk | undefined
  const served = new Map<string, () => number>() // by role, while the outage lasts

  function keep(report: OutageReport): void {
    reports = [report, ...reports.filter(({ id }) => id !== report.id)].sort(newestFirst).slice(0, KEPT)
    disk?.saveOutage(report.id, Date.parse(report.startedAt), JSON.stringify(report))
  }

  const openOne = (role: string) => reports.find((report) => report.role === role && report.endedAt === null)

  return {
    began(role, cause, atMs, servedSoFar) {
      served.set(role, servedSoFar)
      if (openOne(role)) return // it began in an earlier life of this process, and goes on
      keep({
        id: randomUUID(),
        role,
        startedAt: new Date(atMs).toISOString(),
        endedAt: null,
        durationMs: null,
        cause,
        servedCalls: 0,
        merged: {},
        accepted: [],
        conflicts: [],
        lost: 0,
        note: null,
      })
    },
    ended(role, end, atMs) {
      const open = openOne(role)
      if (!open) return undefined
      const durationMs = Math.max(0, atMs - Date.parse(open.startedAt))
      const report = { ...open, ...end, endedAt: new Date(atMs).toISOString(), durationMs }
      keep(report)
      return report
    },
    all: () =>
      reports.map((report) =>
        report.endedAt === null
          ? { ...report, servedCalls: served.get(report.role)?.() ?? report.servedCalls }
          : report,
      ),
    useDisk(opened) {
      disk = opened
      if (!disk) return
      const present = reports
      const earlier = disk.outages().map((text) => ({ accepted: [], ...JSON.parse(text) }) as OutageReport)
      const known = new Set(earlier.map(({ id }) => id))
      reports = [...earlier, ...present.filter(({ id }) => !known.has(id))].sort(newestFirst).slice(0, KEPT)
      for (const report of present) keep(report)
    },
  }
}

const newestFirst = (a: OutageReport, b: OutageReport) => Date.parse(b.startedAt) - Date.parse(a.startedAt)
