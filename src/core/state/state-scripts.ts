// The Lua of the state role that is of no kind: its epoch, and keys of another type. The kinds have theirs (kinds/).
// When a value ends is said as the time that is left, in ms: Redis' clock need not be the app's.
import { script } from '../redis/script-runner.ts'

// Begins an epoch, unless Redis is not in the one that was seen any more, and raises the sequence of one process in it.
//   KEYS[1] epoch, [2] sequences    ARGV[1] the epoch that was seen, '' for none, [2] the one to begin or stay in,
//   [3] the process, [4] its sequence    returns { epoch, sequence } as they are now
export const BEGIN_EPOCH = script(`
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch == ARGV[1] and epoch ~= ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2])
  redis.call('DEL', KEYS[2])
  epoch = ARGV[2]
end
local sequence = redis.call('HGET', KEYS[2], ARGV[3]) or ''
if epoch == ARGV[2] and (tonumber(sequence) or 0) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
  sequence = ARGV[4]
end
return { epoch, sequence }`)

// What is under keys, each with the time that is left.
//   KEYS[…] keys    ARGV[…] the type of each    returns for each { ms, as PTTL says, -3 of another type; the value }
export const READ = script(`
local read = {
  string = function(key) return redis.pcall('GET', key) end,
  zset = function(key) return redis.pcall('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  hash = function(key) return redis.pcall('HGETALL', key) end,
}
local found = {}
for i, key in ipairs(KEYS) do
  local value = read[ARGV[i]](key)
  local isForeign = type(value) == 'table' and value.err
  if isForeign and not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
  found[2 * i - 1] = isForeign and -3 or redis.call('PTTL', key)
  found[2 * i] = not isForeign and value
end
return found`)

// Deletes what is of another type than what we keep under the key.
//   KEYS[…] keys    ARGV[…] the type of each
export const DROP_FOREIGN = script(`
for i, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok ~= ARGV[i] then redis.call('DEL', key) end
end`)

// Puts other bytes in the place of exactly those that were seen.
//   KEYS[1] key    ARGV[1] the bytes that were seen, [2] others, '' to delete, [3] time left, ms, 0 to keep it
export const SWAP = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '0' then
  local left = redis.call('PTTL', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[2])
  if left > 0 then redis.call('PEXPIRE', KEYS[1], left) end
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1`)

// Drops entries of a sorted set that still have the score that was seen.
//   KEYS[1] sorted set    ARGV[…] name and score of each
export const DROP_ENTRIES = script(`
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1`)
