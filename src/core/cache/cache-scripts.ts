// The Lua of the cache role: one atomic operation a script. A value of another type under a lease's key is nobody's
// lease: `pcall` makes of it an error object, which equals no holder, and the next lease replaces it.
import { script } from '../redis/script-runner.ts'

// Writes a value unless the lease under which it was loaded is gone.
//   KEYS[1] entry, [2] its lease    ARGV[1] value, [2] ttl, ms, [3] holder    returns 1 when written, else 0
export const SET_FENCED = script(`
if redis.pcall('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// Takes a lease that nobody holds, or prolongs our own.
//   KEYS[1] lease    ARGV[1] holder, [2] ttl, ms    returns 'taken', 'held' or 'failed' (the last load did)
export const TAKE_LOAD_LEASE = script(`
local holder = redis.pcall('GET', KEYS[1])
if holder == 'failed' then return 'failed' end
if type(holder) == 'string' and holder ~= ARGV[1] then return 'held' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'taken'`)

// Gives a lease back if it is still ours.
//   KEYS[1] lease    ARGV[1] holder, [2] 'done' or 'failed', [3] ms to remember a failure    returns 1 if it was ours
export const RELEASE_LOAD_LEASE = script(`
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == 'failed' then redis.call('SET', KEYS[1], 'failed', 'PX', ARGV[3]) else redis.call('DEL', KEYS[1]) end
return 1`)

// One page of a sweep.
//   ARGV[1] cursor, [2] pattern, [3] how many keys, about, [4] how much of each value tells what it is, [5] the clear
//   below which an entry is dead, '' to tell of all    returns { cursor, names, the beginnings of their values }; with
//   [5] only the names of what is dead
export const SWEEP_PAGE = script(`
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3], 'TYPE', 'string')
local below = tonumber(ARGV[5])
local names, heads = {}, {}
for _, name in ipairs(page[2]) do
  local head = redis.pcall('GETRANGE', name, 0, ARGV[4])
  if type(head) ~= 'string' then head = '' end
  local generation = below and string.match(head, '^{"samovar":1,"generation":(%d+),')
  if not below then
    names[#names + 1] = name
    heads[#heads + 1] = head
  elseif generation and tonumber(generation) < below then
    names[#names + 1] = name
  end
end
return { page[1], names, heads }`)
