// Keeps a flood out of the log: of lines of one kind the first in a second is written, and the others are counted into
// one line a second later. A kind is the level, the message, and what the fields say of the cause; not whose request it
// was. Debug lines pass: who asks for them wants all.
import { SECOND, type StartTimer, startTimer } from './time.ts'

const MOST_KINDS = 1_000
const LONGEST_VALUE = 60
/** Short words of our own, which tell two lines of one message apart. */
const TELLING =
  'role code reason status outcome feature job name queue source file problem service variable from to'.split(
    ' ',
  )

const LEVELS = ['info', 'warn', 'error', 'fatal'] as const
type Level = (typeof LEVELS)[number]
type Write = (fields: unknown, message?: string) => void

interface Kind {
  readonly level: Level
  readonly message: string
  leftOut: number
}

export interface FloodLogOptions<L> {
  log: L
  timer?: StartTimer
}

/** The same log; `flush` writes now what is counted. */
export function limitFloods<L extends Record<'debug' | Level, (...line: never[]) => void>>({
  log: given,
  timer = startTimer,
}: FloodLogOptions<L>): Pick<L, 'debug' | Level> & { flush(): void } {
  const log = given as unknown as Record<'debug' | Level, Write>
  let kinds = new Map<string, Kind>() // of this second
  let isCounting = false
  let beyond = 0 // lines of kinds that there was no room for

  function flush(): void {
    const before = kinds
    const uncounted = beyond
    kinds = new Map()
    beyond = 0
    isCounting = false
    for (const { level, message, leftOut } of before.values()) {
      if (leftOut > 0) log[level]({ of: message, leftOut }, 'lines of this kind were left out')
    }
    if (uncounted > 0) log.warn({ leftOut: uncounted }, 'lines of very many kinds were left out')
  }

  /** Whether the line is to be written. Beyond the bound only those of errors are, whose kinds are our own. */
  function passes(level: Level, fields: unknown, message: string): boolean {
    const name = kindOf(level, fields, message)
    const kind = kinds.get(name)
    if (kind) {
      kind.leftOut += 1
      return false
    }
    const isFull = kinds.size >= MOST_KINDS && level !== 'error' && level !== 'fatal'
    if (isFull) beyond += 1
    else kinds.set(name, { level, message, leftOut: 0 })
    if (!isCounting) {
      isCounting = true
      timer(SECOND, flush)
    }
    return !isFull
  }

  const write =
    (level: Level): Write =>
    (...line) => {
      const [first, second = ''] = line
      const message = typeof first === 'string' ? first : second
      if (level === 'fatal') flush() // the process is about to end
      if (passes(level, first, message)) log[level](...line)
    }

  const limited = Object.fromEntries(LEVELS.map((level) => [level, write(level)]))
  const all = { ...limited, debug: log.debug.bind(log), flush }
  return all as unknown as Pick<L, 'debug' | Level> & { flush(): void }
}

function kindOf(level: Level, fields: unknown, message: string): string {
  if (typeof fields !== 'object' || fields === null) return `${level} ${message}`
  const { err } = fields as { err?: unknown }
  const given = fields instanceof Error ? fields : err
  const cause = given instanceof Error ? [given.name, (given as { code?: unknown }).code] : []
  const words = [...cause, ...TELLING.map((name) => (fields as Record<string, unknown>)[name])]
  return [level, message, ...words.map(short)].join(' ')
}

const short = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, LONGEST_VALUE) : ''

interface Written {
  type: string
  message: string
  code?: unknown
  stack?: string | undefined
  cause?: Written
}

/** An error without its stack, and its causes; of those a bug of ours, which has no code, keeps it. */
export function withoutStack(error: Error): Written {
  const { code } = error as { code?: unknown }
  const { cause, stack } = error
  return {
    type: error.name === 'Error' ? error.constructor.name : error.name,
    message: error.message,
    ...(code !== undefined ? { code } : !isExpected(error) && { stack }),
    ...(cause instanceof Error && { cause: withoutStack(cause) }),
  }
}

/** Refusals, and sources that fail: nothing of ours is to be mended. */
export const isExpected = (error: unknown): error is Error =>
  error instanceof Error && (error as { isExpected?: boolean }).isExpected === true
