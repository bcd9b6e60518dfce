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

// Deletes what is of another type than what we keep under the key.
//   KEYS[…] keys    ARGV[…] the type of each
export const DROP_FOREIGN = script(`
for i, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok ~= ARGV[i] then redis.call('DEL', key) end
end`)
