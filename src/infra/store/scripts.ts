// The Lua that Redis runs: what must be atomic, one operation a script. Nothing else is ever sent as a script.
import { createHash } from 'node:crypto'

export interface Script {
  readonly source: string
  readonly sha: string
}

const script = (source: string): Script => ({ source, sha: createHash('sha1').update(source).digest('hex') })

// Writes a value unless the lease under which it was loaded is gone.
//   KEYS[1] entry, [2] its lease    ARGV[1] value, [2] ttl, ms, [3] holder    returns 1 when written, else 0
export const SET_FENCED = script(`
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// Takes a lease that nobody holds, or prolongs our own.
//   KEYS[1] lease    ARGV[1] holder, [2] ttl, ms    returns 'taken', 'held' or 'failed' (the last load did)
export const LEASE = script(`
local holder = redis.call('GET', KEYS[1])
if holder == 'failed' then return 'failed' end
if holder and holder ~= ARGV[1] then return 'held' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'taken'`)

// Gives a lease back if it is still ours.
//   KEYS[1] lease    ARGV[1] holder, [2] 'done' or 'failed', [3] ms to remember a failure    returns 1 if it was ours
export const RELEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == 'failed' then redis.call('SET', KEYS[1], 'failed', 'PX', ARGV[3]) else redis.call('DEL', KEYS[1]) end
return 1`)

// Gives fields the next number above all; past 1,000 fields the oldest is folded into 'all', which clears more, never less.
//   KEYS[1] hash    ARGV[1] floor, [2…] fields    returns the number
export const RAISE = script(`
local top = math.max(tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'top') or '0')) + 1
local value = string.format('%.0f', top)
for i = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], value) end
redis.call('HSET', KEYS[1], 'top', value)
while redis.call('HLEN', KEYS[1]) > 1000 do
  local oldest, lowest
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local number = tonumber(all[i + 1])
    if all[i] ~= 'all' and all[i] ~= 'top' and (not lowest or number < lowest) then oldest, lowest = all[i], number end
  end
  redis.call('HDEL', KEYS[1], oldest)
  if lowest > tonumber(redis.call('HGET', KEYS[1], 'all') or '0') then
    redis.call('HSET', KEYS[1], 'all', string.format('%.0f', lowest))
  end
end
return value`)

// The exact sliding log: one member a hit, scored by its time. The same as slide() in sliding-log.ts.
//   KEYS[1] log    ARGV[1] now, ms, [2] limit, [3] window, ms, [4] id of the hit
//   returns { 1 when counted else 0, hits in the window, time of the oldest hit that must leave before the next, or -1 }
export const HIT = script(`
local now, limit, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local count = redis.call('ZCARD', KEYS[1])
local allowed = 0
if count < limit then
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  count = count + 1
  allowed = 1
end
local leaves = '-1'
if count >= limit then leaves = redis.call('ZRANGE', KEYS[1], count - limit, count - limit, 'WITHSCORES')[2] end
return { allowed, count, leaves }`)
