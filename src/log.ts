// The log: JSON lines on stdout, or readable ones on a terminal.
import { type Logger, pino } from 'pino'
import { isExpected, limitFloods, withoutStack } from './lib/log-flood.ts'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>

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
  return pino({
    ...shared,
    transport: { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss.l', sync: true } },
  })
}
