// The log: JSON lines on stdout, or readable ones on a terminal.
import { createRequire } from 'node:module'
import { type Logger, pino } from 'pino'
import type PrettyStream from 'pino-pretty'
import { isExpected, limitFloods, withoutStack } from './lib/log-flood.ts'

/** One line: what happened, after what it happened to. pino's, as far as it is used here. */
export interface LogLine {
  (fields: object, message: string): void
  (message: string): void
}

/** pino's loggers are such, and whatever has these methods. */
export type Log = Readonly<Record<'debug' | 'info' | 'warn' | 'error' | 'fatal', LogLine>>

export interface LogOptions {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  format: 'json' | 'pretty'
}

/**
 * Lines are written synchronously, so that the last one before an exit is never lost; of a flood of one kind a line a
 * second (lib/log-flood.ts). What an expected failure says goes without its stack.
 */
export function createLog(options: LogOptions): Log {
  const log = limitFloods({ log: createPlainLog(options) })
  if (options.level !== 'silent') process.once('exit', log.flush)
  return log
}

function createPlainLog({ level, format }: LogOptions): Logger {
  const err = (error: Error) => (isExpected(error) ? withoutStack(error) : pino.stdSerializers.err(error))
  const shared = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err } }
  if (format === 'json') {
    return pino(
      { ...shared, formatters: { level: (label) => ({ level: label }) } },
      pino.destination({ sync: true }),
    )
  }
  // Loaded only where somebody reads along; in this process, because pino's worker is a file of its own package.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof PrettyStream
  return pino(shared, pretty({ translateTime: 'HH:MM:ss.l', sync: true }))
}
