// A log that a test can read.
import type { Log } from '../../src/log.ts'

export interface RecordedLine {
  readonly level: string
  readonly message: string
  readonly fields: Record<string, unknown>
}

export function recordLog(): { log: Log; lines: RecordedLine[] } {
  const lines: RecordedLine[] = []
  const at =
    (level: string) =>
    (first: unknown, second?: string): void => {
      const isMessage = typeof first === 'string'
      lines.push({
        level,
        message: isMessage ? first : (second ?? ''),
        fields: isMessage ? {} : (first as Record<string, unknown>),
      })
    }
  const log = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
  }
  return { log: log as unknown as Log, lines }
}
