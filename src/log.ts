// The log: JSON lines on stdout, or readable ones on a terminal.
import { type Logger, pino } from 'pino'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>

export interface LogOptions {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  format: 'json' | 'pretty'
}

/** Lines are written synchronously, so that the last one before an exit is never lost. */
export function createLog({ level, format }: LogOptions): Log {
  const shared = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  if (format === 'json') {
    return pino(
      { ...shared, formatters: { level: (label) => ({ level: label }) } },
      pino.destination({ sync: true }),
    )
  }
  return pino({
    ...shared,
    transport: { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss.l', sync: true } },
  })
}
