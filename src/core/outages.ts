// One report for each outage of a role: when, why, what memory did in it, what was merged, and what went wrong.
import { randomUUID } from 'node:crypto'
import { corrupt, type Guard, isArrayOf, isNumber, isShape, isText, parseJson } from '../lib/codec.ts'
import type { DamageLog } from './damage-log.ts'
import type { FileAlert } from './files/file-alerts.ts'
import { createParticipant, type Participant } from './participant.ts'
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
  /** What was claimed in it: deliveries, used logins. At most 100 key names; then how many more there were. */
  readonly accepted: readonly string[]
  /** One sentence each, at most 100; then how many more there were. */
  readonly conflicts: readonly string[]
  /** How many keys had a damaged value in Redis. */
  readonly corrupt: number
  /** Acknowledged writes, of a process before this one, that could not be read from the journal any more. */
  readonly lost: number
  readonly note: string | null
  /** Of what was wrong with a file of the data directory, not of an outage: its name. */
  readonly file?: string
}

export type OutageEnd = Pick<
  OutageReport,
  'servedCalls' | 'merged' | 'accepted' | 'conflicts' | 'corrupt' | 'lost' | 'note'
>

export interface Outages {
  /** `served` tells how many calls memory has answered in it so far. */
  began(role: 'cache' | 'state', cause: string, atMs: number, served: () => number): void
  ended(role: 'cache' | 'state', end: OutageEnd, atMs: number): OutageReport | undefined
  /** Something was wrong with a file, and may have cost something. */
  noteFile(finding: FileAlert): void
  /** What turned out to be damaged once that outage had ended: all of Redis is read then. */
  amend(id: string, found: Pick<OutageReport, 'conflicts' | 'corrupt'>): void
  /** The last 100, newest first. */
  all(): readonly OutageReport[]
  /** Their copy on disk. */
  readonly participant: Participant
}

export function createOutages(damage: Pick<DamageLog, 'note'>): Outages {
  let reports: OutageReport[] = []
  let disk: StateDisk | undefined
  const served = new Map<string, () => number>() // by role, while the outage lasts

  function keep(report: OutageReport): void {
    reports = [report, ...reports.filter(({ id }) => id !== report.id)].sort(newestFirst).slice(0, KEPT)
    disk?.saveOutage(report.id, Date.parse(report.startedAt), JSON.stringify(report))
  }

  function decode(text: string): OutageReport[] {
    const report = parseJson(text, isReport)
    if (report !== corrupt) return [{ accepted: [], corrupt: 0, ...report }]
    damage.note('disk', 'outages')
    return []
  }

  const openOne = (role: string) => reports.find((report) => report.role === role && report.endedAt === null)

  return {
    began(role, cause, atMs, servedSoFar) {
      served.set(role, servedSoFar)
      if (openOne(role)) return // it began before this process, and has not ended since
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
        corrupt: 0,
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
    noteFile({ file, problem, message, advice, lost = 0, atMs }) {
      const at = new Date(atMs).toISOString()
      const nothing = { servedCalls: 0, merged: {}, accepted: [], conflicts: [], corrupt: 0 }
      const cause = `${problem}: ${file}`
      const note = [message, advice].flatMap((text) => text ?? []).join('. ')
      const times = { startedAt: at, endedAt: at, durationMs: 0 }
      keep({ id: randomUUID(), role: 'state', ...times, cause, ...nothing, lost, note, file })
    },
    amend(id, found) {
      const report = reports.find((each) => each.id === id)
      if (!report || (found.corrupt === 0 && found.conflicts.length === 0)) return
      const conflicts = [...report.conflicts, ...found.conflicts]
      keep({ ...report, conflicts, corrupt: report.corrupt + found.corrupt })
    },
    all: () =>
      reports.map((report) =>
        report.endedAt === null
          ? { ...report, servedCalls: served.get(report.role)?.() ?? report.servedCalls }
          : report,
      ),
    participant: createParticipant({
      load(opened) {
        disk = opened
        const present = reports
        const earlier = disk.outages().flatMap(decode)
        const known = new Set(earlier.map(({ id }) => id))
        reports = [...earlier, ...present.filter(({ id }) => !known.has(id))].sort(newestFirst).slice(0, KEPT)
        for (const report of present) keep(report)
      },
      persist() {
        disk = undefined
      },
    }),
  }
}

const newestFirst = (a: OutageReport, b: OutageReport) => Date.parse(b.startedAt) - Date.parse(a.startedAt)

type Early = Omit<OutageReport, 'accepted' | 'corrupt'>

const orNull =
  <T>(guard: Guard<T>): Guard<T | null> =>
  (json): json is T | null =>
    json === null || guard(json)
const isTime = (json: unknown): json is string => isText(json) && !Number.isNaN(Date.parse(json))
const isRole = (json: unknown): json is OutageReport['role'] => json === 'cache' || json === 'state'
const isCounts = (json: unknown): json is OutageReport['merged'] =>
  typeof json === 'object' && json !== null && Object.values(json).every(isNumber)

// `accepted` and `corrupt` came later than the rest: early reports are without them.
const isReport: Guard<Early> = isShape<Early>({
  id: isText,
  role: isRole,
  startedAt: isTime,
  endedAt: orNull(isTime),
  durationMs: orNull(isNumber),
  cause: isText,
  servedCalls: isNumber,
  merged: isCounts,
  conflicts: isArrayOf(isText),
  lost: isNumber,
  note: orNull(isText),
})
