// The commands that Samovar sends, and which of them a server does not know or keeps from its user. Asked before the
// server is used: one that lacks a single command would pass every other test, fail in use, and pass again.

/**
 * Each is tried on a key that nobody uses (`@`). Any reply shows that the server has the command, also one that refuses
 * the value or an option.
 */
export const CACHE_COMMANDS = [
  'GET @',
  'MGET @',
  'SET @ 1 PX 1',
  'DEL @',
  'UNLINK @',
  'INCR @',
  'GETRANGE @ 0 1',
  'SCAN 0 COUNT 1',
]
export const STATE_COMMANDS = [
  ...[
    'GET @',
    'MGET @',
    'SET @ 1 PX 1',
    'DEL @',
    'UNLINK @',
    'SCAN 0 COUNT 1',
    'PTTL @',
    'PEXPIRE @ 1',
    'TYPE @',
  ],
  ...['HGET @ f', 'HGETALL @', 'HSET @ f 1', 'HDEL @ f', 'HINCRBY @ f 1'],
  ...[
    'ZADD @ 1 a',
    'ZSCORE @ a',
    'ZRANGE @ 0 0',
    'ZREM @ a',
    'ZCARD @',
    'ZCOUNT @ 0 0',
    'ZREMRANGEBYSCORE @ 0 0',
  ],
  'ZREMRANGEBYRANK @ 0 0',
]
/** What BullMQ's scripts use, from the ways that a job takes. */
export const JOB_COMMANDS = [
  ...['DEL @', 'EXISTS @', 'GET @', 'SET @ 1 PX 1', 'INCR @', 'PTTL @', 'PEXPIRE @ 1', 'TIME', 'UNLINK @'],
  ...[
    'HGET @ f',
    'HGETALL @',
    'HSET @ f 1',
    'HMSET @ f 1',
    'HMGET @ f',
    'HDEL @ f',
    'HEXISTS @ f',
    'HINCRBY @ f 1',
  ],
  ...[
    'LPUSH @ a',
    'RPUSH @ a',
    'LRANGE @ 0 0',
    'LREM @ 0 a',
    'LLEN @',
    'LINDEX @ 0',
    'LTRIM @ 0 0',
    'RPOP @',
  ],
  ...['RPOPLPUSH @ @', 'LPOS @ a', 'SADD @ a', 'SREM @ a', 'SMEMBERS @', 'SCARD @', 'SISMEMBER @ a'],
  ...[
    'ZADD @ 1 a',
    'ZREM @ a',
    'ZSCORE @ a',
    'ZRANGE @ 0 0',
    'ZRANGEBYSCORE @ 0 0',
    'ZREVRANGE @ 0 0',
    'ZCARD @',
  ],
  ...['ZCOUNT @ 0 0', 'ZPOPMIN @', 'XADD @ * f 1', 'XTRIM @ MAXLEN 1'],
]

// Tries each command.
//   KEYS[1] a key of nobody's, gone afterwards   ARGV: the commands, @ for the key
// Returns the names of those that are not known, or not allowed.
export const FIND_MISSING = `
local missing = {}
for _, line in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(line, '%S+') do words[#words + 1] = word == '@' and KEYS[1] or word end
  local reply = redis.pcall(unpack(words))
  local told = type(reply) == 'table' and reply.err and string.lower(reply.err) or ''
  if string.find(told, 'unknown', 1, true) or string.find(told, 'permission', 1, true)
    or string.find(told, "can't run this command", 1, true) then missing[#missing + 1] = words[1] end
end
redis.pcall('DEL', KEYS[1])
return missing`

/** What to say of them; undefined when none is missing. */
export function describeMissing(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined
  return `this Redis does not know, or does not allow to its user: ${names.join(', ')}`
}
