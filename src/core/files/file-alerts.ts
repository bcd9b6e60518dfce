// What is wrong with a file of the data directory: said once in the log, kept for the statistics and for /readyz, and
// passed on to the reports of outages.
import { DAY } from '../../lib/time.ts'
import type { Log } from '../../log.ts'

/**
 * `missing`, `empty`: it was here before. `older`: of an earlier time than the other files say. `foreign`: of another
 * installation. `changed`: by somebody else while it was closed. `damaged`: not sound. `unusable`: it cannot be opened.
 */
export type FileProblem = 'missing' | 'empty' | 'older' | 'foreign' | 'changed' | 'damaged' | 'unusable'

export interface FileFinding {
  readonly file: string
  readonly problem: FileProblem
  /** What happened and what it may have cost, in sentences. Nothing secret. */
  readonly message: string
  /** What to do; a sentence. */
  readonly advice?: string
  /** Rows that were there, and could not be read. */
  readonly lost?: number
  /** Where the damaged file is now. */
  readonly aside?: string
  readonly err?: unknown
}

export interface FileAlert extends FileFinding {
  readonly atMs: number
}

const LASTS_MS = DAY // nobody but a restart could take it back, and what was lost stays lost

export interface FileAlerts {
  raise(finding: FileFinding): void
  /** The file can be used again. */
  mended(file: string): void
  /** Those of the last day, oldest first. */
  current(): readonly FileAlert[]
  /** Calls back with each, also with those there were before. */
  onRaise(listener: (alert: FileAlert) => void): void
}

export function createFileAlerts(log: Log): FileAlerts {
  let alerts: FileAlert[] = []
  const listeners: ((alert: FileAlert) => void)[] = []
  return {
    raise(finding) {
      const { message, ...fields } = finding
      log.error(fields, `ALERT ${message}`)
      const alert = { ...finding, atMs: Date.now() }
      alerts.push(alert)
      for (const listener of listeners) listener(alert)
    },
    mended(file) {
      alerts = alerts.filter((alert) => alert.file !== file || alert.problem !== 'unusable')
    },
    current() {
      alerts = alerts.filter(({ atMs }) => Date.now() - atMs < LASTS_MS)
      return alerts
    },
    onRaise(listener) {
      listeners.push(listener)
      for (const alert of alerts) listener(alert)
    },
  }
}
