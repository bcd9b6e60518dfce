// What is written of a flood of lines.
import { AppError } from '../../src/errors.ts'
import { FetchFailed } from '../../src/http/fetch-json.ts'
import { isExpected, limitFloods, withoutStack } from '../../src/lib/log-flood.ts'
import { recordLog } from '../helpers/log.ts'

function createFlooded() {
  const { log: plain, lines } = recordLog()
  const timers: (() => void)[] = []
  const log = limitFloods({
    log: plain,
    timer(_ms, call) {
      timers.push(call)
      return () => {}
    },
  })
  const second = () => {
    for (const call of timers.splice(0)) call()
  }
  return { log, lines, second }
}

test('of one kind a line a second, then how many were left out', () => {
  const { log, lines, second } = createFlooded()
  for (let i = 0; i < 500; i += 1) log.warn({ requestId: String(i), path: `/${i}` }, 'answering 503')
  expect(lines).toHaveLength(1)
  second()
  expect(lines[1]).toEqual({
    level: 'warn',
    message: 'lines of this kind were left out',
    fields: { of: 'answering 503', leftOut: 499 },
  })
  log.warn({ requestId: 'a' }, 'answering 503')
  second()
  expect(lines).toHaveLength(3)
})

test('other levels, messages, causes and roles are other kinds; debug lines all pass', () => {
  const { log, lines } = createFlooded()
  log.info('one')
  log.warn('one')
  log.info('two')
  log.error({ err: new TypeError('a') }, 'broken')
  log.error({ err: new RangeError('b') }, 'broken')
  log.info({ role: 'cache' }, 'away')
  log.info({ role: 'state' }, 'away')
  for (let i = 0; i < 3; i += 1) log.debug('request')
  expect(lines).toHaveLength(10)
})

test('the kinds are bounded; errors are written beyond the bound, too', () => {
  const { log, lines, second } = createFlooded()
  for (let i = 0; i < 2_000; i += 1) log.info(`made up ${i}`)
  expect(lines).toHaveLength(1_000)
  log.error('broken')
  expect(lines.at(-1)?.message).toBe('broken')
  second()
  log.info('after')
  expect(lines.at(-1)?.message).toBe('after')
})

test('a fatal line comes after what was counted', () => {
  const { log, lines } = createFlooded()
  log.info('one')
  log.info('one')
  log.fatal('the end')
  expect(lines.map(({ message }) => message)).toEqual(['one', 'lines of this kind were left out', 'the end'])
})

test('what is expected is written without a stack, a bug with it', () => {
  const failed = new AppError(
    'prices_unavailable',
    503,
    'away',
    {},
    { cause: new FetchFailed('status', { status: 500 }) },
  )
  expect(isExpected(failed)).toBe(true)
  expect(isExpected(new Error('a bug'))).toBe(false)
  const written = withoutStack(failed)
  expect(written).toMatchObject({
    message: 'away',
    code: 'prices_unavailable',
    cause: { type: 'FetchFailed' },
  })
  expect(JSON.stringify(written)).not.toContain(' at ')
})
