// Which way of speaking is tried after which refusal, what is kept of it, and what is said of refusals.
import { ErrorReply, SocketClosedUnexpectedlyError } from 'redis'
import { hintFor, unavailable } from '../../src/core/redis/refusals.ts'
import { createWays } from '../../src/core/redis/ways.ts'

const refused = (message: string) => new ErrorReply(message)

const CLOSED = 'the connection is closed'

test.each([
  ['tracked', "ERR unknown command 'HELLO', with args beginning with: '3'", 'resp2', true],
  ['tracked', 'ERR unknown command `HELLO`', 'resp2', true],
  ['tracked', 'NOPROTO unsupported protocol version', 'resp2', true],
  ['tracked', "ERR unknown command 'CLIENT'", 'untracked', true],
  ['tracked', "NOPERM User app has no permissions to run the 'client|tracking' command", 'untracked', true],
  ['tracked', 'ERR something else', 'untracked', false],
  ['untracked', 'ERR unknown command', 'resp2', false],
  ['tracked', 'NOAUTH Authentication required.', 'resp2', false],
  ['untracked', CLOSED, 'resp2', false],
  ['tracked', 'ERR max number of clients reached', undefined, false],
  ['tracked', 'LOADING Redis is loading the dataset in memory', undefined, false],
  ['untracked', 'WRONGPASS invalid username-password pair', undefined, false],
  ['resp2', 'ERR unknown command', undefined, false],
] as const)('%s, %s: then %s, for ever: %s', (way, message, next, lasts) => {
  const ways = createWays({ mayTrack: true, hasPassword: true })
  const failure = message === CLOSED ? new SocketClosedUnexpectedlyError() : refused(message)
  const lesser = ways.after(way, failure)
  expect(lesser?.way).toBe(next)
  if (lesser) ways.worked(lesser)
  expect(ways.best()).toBe(lasts ? next : 'tracked')
})

test('without a password NOAUTH says nothing of HELLO', () => {
  const ways = createWays({ mayTrack: false, hasPassword: false })
  expect(ways.best()).toBe('untracked')
  expect(ways.after('untracked', refused('NOAUTH Authentication required.'))).toBeUndefined()
  // As Redis 6 and later say it.
  const own =
    'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH'
  expect(ways.after('untracked', refused(own))).toBeUndefined()
})

test('arguments that Redis repeats are in no message, and in no cause', () => {
  const reply = refused(
    "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'sentinel'",
  )
  const failure = unavailable(reply)
  expect(failure.message).toBe("ERR unknown command 'HELLO'")
  expect([failure.stack, reply.message, reply.stack].join()).not.toContain('sentinel')
})

test.each([
  ['ERR max number of clients reached', 'maxclients'],
  ["READONLY You can't write against a read only replica", 'primary'],
  ['MOVED 3999 127.0.0.1:6381', 'Cluster'],
  ['ERR DB index is out of range', '/0'],
  ["ERR wrong number of arguments for 'auth' command", 'knows no users'],
  ['LOADING Redis is loading the dataset in memory', undefined],
])('%s: %s', (message, words) => {
  if (words === undefined) expect(hintFor(message)).toBeUndefined()
  else expect(hintFor(message)).toContain(words)
})
