// Where a Samovar in somebody else's app says what happens: in the logger it is given, else on stderr.
import { limitFloods, withoutStack } from '../lib/log-flood.ts'
import type { Log } from '../log.ts'

/** pino's loggers are such, and Fastify's `app.log`; `fatal` may be missing. */
export type GivenLog = Omit<Log, 'fatal'> & Partial<Pick<Log, 'fatal'>>

/** Warnings and errors, a line each. */
const toStderr: GivenLog = {
  debug: () => {},
  info: () => {},
  warn: line('warn'),
  error: line('error'),
}

/** Of a flood of one kind a line a second. */
export function createPackageLog(given: GivenLog = toStderr) {
  const log = { debug: given.debug.bind(given), info: given.info.bind(given) }
  const error = given.error.bind(given)
  const all = { ...log, warn: given.warn.bind(given), error, fatal: given.fatal?.bind(given) ?? error }
  return limitFloods<Log>({ log: all })
}

function line(level: 'warn' | 'error') {
  return (first: object | string, message?: string) => {
    const { err, ...fields } = (typeof first === 'string' ? {} : first) as { err?: unknown }
    const cause = err instanceof Error ? { err: withoutStack(err) } : err === undefined ? {} : { err }
    const text = message ?? String(first)
    console.error(`samovar ${level}: ${text} ${JSON.stringify({ ...fields, ...cause })}`)
  }
}
