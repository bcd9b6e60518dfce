// The Lua of the state role: one atomic operation a script. Records and claims are strings, "<stamp>\n<bytes>", with a
// "!" after the stamp of what is destroyed; marks are decimal numbers; logs are sorted sets, one member a hit.
// When a value ends is said as the time that is left, in ms: Redis' clock need not be the app's.
import { script } from '../redis/script-runner.ts'

// Puts the newer of two records; what is destroyed stays destroyed. The same as mergeEntries.
//   KEYS[1] record    ARGV[1] the other version, [2] its time left
//   returns 1 when the other one is there now, else 0
export const MERGE_RECORD = script(`
local function head(record) return string.match(record, '^[^\\n]*') end
local mine = redis.call('GET', KEYS[1])
if mine then
  local m, o = head(mine), head(ARGV[1])
  local md, od = string.sub(m, -1) == '!', string.sub(o, -1) == '!'
  if m == o then
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return 1
  end
  if (md and not od) or (md == od and m > o) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// Writes a record only over the version that the caller has seen.
//   KEYS[1] record    ARGV[1] its new version, [2] its time left, [3] the stamp that was seen, '' for none
//   returns 1 when written, else 0
export const UPDATE_RECORD = script(`
local mine = redis.call('GET', KEYS[1])
local seen = mine and string.match(mine, '^[^\\n]*') or ''
if seen ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// Claims a key that nobody has claimed.
//   KEYS[1] claim    ARGV[1] claim, [2] its time left    returns the claim that is there now
export const CLAIM = script(`
local mine = redis.call('GET', KEYS[1])
if mine then return mine end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`)

// Puts the earlier of two claims. The same as mergeEntries.
//   KEYS[1] claim    ARGV[1] the other one, [2] its time left
//   returns the claim that was there, or false when there was none
export const MERGE_CLAIM = script(`
local function head(claim) return string.match(claim, '^[^\\n]*') end
local mine = redis.call('GET', KEYS[1])
if mine and head(mine) == head(ARGV[1]) then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
elseif not mine or head(mine) > head(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return mine`)

// Raises a number; what is none counts as absent. The same as mergeEntries.
//   KEYS[1] mark    ARGV[1] number, [2] its time left    returns the number that is there now
export const MERGE_MARK = script(`
local there, number = redis.call('GET', KEYS[1]), tonumber(ARGV[1])
local mine = tonumber(there or '')
if mine and (mine > number or mine == number and redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[2])) then
  return there
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`)

// Adds hits to a log, each once. The same as mergeEntries.
//   KEYS[1] log    ARGV[1] its time left, then time and id of each hit    returns the number of hits
export const MERGE_LOG = script(`
for i = 2, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return redis.call('ZCARD', KEYS[1])`)

// Adds members until their ends, or prolongs them; those that end last stay. The same as mergeEntries.
//   KEYS[1] members    ARGV[1] time left of the last one, [2] how many stay, then end and name of each
//   returns the number of members
export const MERGE_MEMBERS = script(`
for i = 3, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'GT', ARGV[i], ARGV[i + 1]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return redis.call('ZCARD', KEYS[1])`)

// Begins a life, unless Redis is not in the one any more that was seen, and raises the offset of one process in it.
//   KEYS[1] epoch, [2] offsets    ARGV[1] the epoch that was seen, '' for none, [2] the one to begin or go on with, [3] the
//   process, [4] its offset    returns { epoch, offset } as they are now
export const BEGIN_LIFE = script(`
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch == ARGV[1] and epoch ~= ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2])
  redis.call('DEL', KEYS[2])
  epoch = ARGV[2]
end
local offset = redis.call('HGET', KEYS[2], ARGV[3]) or ''
if epoch == ARGV[2] and (tonumber(offset) or 0) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
  offset = ARGV[4]
end
return { epoch, offset }`)

// Deletes what is of another type than what we keep under the key.
//   KEYS[…] keys    ARGV[…] the type of each
export const DROP_FOREIGN = script(`
for i, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok ~= ARGV[i] then redis.call('DEL', key) end
end`)

// Gives fields the next number above all; past 1,000 fields the oldest is folded into 'all', which clears more, never less.
//   KEYS[1] hash    ARGV[1] floor, [2…] fields    returns the number
export const RAISE = script(`
local function numberIn(field) return tonumber(redis.call('HGET', KEYS[1], field) or '') or 0 end
local top = math.max(tonumber(ARGV[1]), numberIn('top')) + 1
local value = string.format('%.0f', top)
for i = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], value) end
redis.call('HSET', KEYS[1], 'top', value)
while redis.call('HLEN', KEYS[1]) > 1000 do
  local oldest, lowest
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local number = tonumber(all[i + 1]) or 0
    if all[i] ~= 'all' and all[i] ~= 'top' and (not lowest or number < lowest) then oldest, lowest = all[i], number end
  end
  redis.call('HDEL', KEYS[1], oldest)
  if lowest > numberIn('all') then
    redis.call('HSET', KEYS[1], 'all', string.format('%.0f', lowest))
  end
end
return value`)

// The exact sliding log: as many members as a hit costs, scored by its time. The same as slide() in sliding-log.ts.
//   KEYS[1] log    ARGV[1] now, ms, [2] limit, [3] window, ms, [4] id of the hit, [5] what it costs
//   returns { 1 when counted else 0, hits in the window, time of the hit that must leave before the next such one or -1,
//     time of the hit that leaves before more is free }
export const HIT = script(`
local now, limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local count = redis.call('ZCARD', KEYS[1])
local function at(rank)
  if rank < 0 then return '-1' end
  return redis.call('ZRANGE', KEYS[1], rank, rank, 'WITHSCORES')[2]
end
local allowed = 0
if count + cost <= limit then
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
  for i = 1, cost - 1 do redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4] .. ':' .. i) end
  count = count + cost
  local last = tonumber(at(count - 1)) -- ahead of now: the clock was set back
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - now + window))
  allowed = 1
end
return { allowed, count, at(count - limit + cost - 1), at(math.max(0, count - limit)) }`)
