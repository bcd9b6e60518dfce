// The Lua of the channel layer: one atomic operation a script. For each channel a hash `head` (epoch, offset, and below), a stream `log`
// whose entry ids are "<offset>-0", with fields t (when it came, ms, by Redis' clock) and m (id, time and JSON, one a line), and
// a hash `here` (a field for each member: when its lease ends, node, info, one a line). Offsets go on when an epoch begins.
import { MINUTE, SECOND } from '../../lib/time.ts'
import { script } from '../redis/script-runner.ts'
import { HISTORY_BYTES, HISTORY_BYTES_IN_ALL, HISTORY_MESSAGES, HISTORY_MS } from './bus.ts'

/** A channel that is quiet for longer begins anew, which costs who still listens to it a gap: so they ask for it before. */
export const HEAD_MS = 10 * MINUTE

// A server that is full refuses the first write of a script if it needs memory, and none after it. What these scripts keep is bounded
// by themselves, so they begin with one that needs none: a full server is for who filled it to notice.
const BEGIN = `redis.call('HDEL', KEYS[1], '')`

// A log without its head is from a life that is over. One that is behind what the caller has seen was set back.
//
// A log ends as a whole with the slot of time in which the last message becomes too old, and all logs that end with it are counted
// together: `sizes` has the bytes of each slot, a head those of its log (`bytes`), its slot, and the last offset that was dropped for want
// of room (`trimmed`). What is beyond the bytes of all is dropped from the log that is written to.
const HEAD = `
${BEGIN}
local SLOT, TTL = ${10 * SECOND}, ${HISTORY_MS}
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch, offset, isLost, bytes, counted, slot, trimmed
local function hasEnded(slot) return slot * SLOT <= now end
local function open(candidate, known, seen)
  local head = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'bytes', 'slot', 'trimmed')
  epoch, offset = head[1], tonumber(head[2] or '0')
  counted, slot, trimmed = tonumber(head[3] or '0'), tonumber(head[4] or '0'), tonumber(head[5] or '0')
  if hasEnded(slot) then counted, trimmed = 0, 0 end
  isLost = not epoch or (epoch == known and offset < tonumber(seen))
  if not isLost or candidate == '' then return end
  if not epoch then redis.call('DEL', KEYS[2]) end
  epoch = candidate
end
local function close()
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', text(offset))
  redis.call('PEXPIRE', KEYS[1], ${HEAD_MS})
end
local function append(name, ageMs, message)
  offset = offset + 1
  redis.call('XADD', KEYS[2], text(offset) .. '-0', 't', text(now - ageMs), 'm', message)
  redis.call('PUBLISH', name, epoch .. '\\n' .. text(offset) .. '\\n' .. message)
end
local function sizeOf(message) return #message + 100 end
local function sizeOfOthers(sizes)
  local sum = -counted
  local all = redis.call('HGETALL', sizes)
  for i = 1, #all, 2 do
    if hasEnded(tonumber(all[i])) then redis.call('HDEL', sizes, all[i]) else sum = sum + all[i + 1] end
  end
  return sum
end
local function trim(sizes, wasEmpty, added)
  bytes = (wasEmpty and 0 or counted) + added
  local others = sizeOfOthers(sizes)
  for length = redis.call('XLEN', KEYS[2]), 1, -1 do
    local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    local isOld = now - tonumber(first[2][2]) > TTL
    local isTooMuch = length > ${HISTORY_MESSAGES} or bytes > ${HISTORY_BYTES} or others + bytes > ${HISTORY_BYTES_IN_ALL}
    if not isOld and not isTooMuch then break end
    redis.call('XDEL', KEYS[2], first[1])
    bytes = bytes - sizeOf(first[2][4])
    if not isOld then trimmed = tonumber(string.match(first[1], '^%d+')) end
  end
  local isEmpty = redis.call('XLEN', KEYS[2]) == 0
  if isEmpty then bytes = 0 end
  if counted > 0 then redis.call('HINCRBY', sizes, text(slot), text(-counted)) end
  slot = math.ceil((now + TTL) / SLOT)
  redis.call('HINCRBY', sizes, text(slot), text(bytes))
  redis.call('PEXPIREAT', sizes, text((slot + 1) * SLOT))
  redis.call('PEXPIREAT', KEYS[2], text(slot * SLOT))
  redis.call('HSET', KEYS[1], 'bytes', text(bytes), 'slot', text(slot), 'trimmed', text(trimmed))
  return not isEmpty
end
local function after(from)
  local entries = redis.call('XRANGE', KEYS[2], text(from + 1) .. '-0', '+')
  local first = 1
  while entries[first] and now - tonumber(entries[first][2][2]) > TTL do first = first + 1 end
  local found = {}
  for i = first, #entries do
    found[#found + 1] = string.match(entries[i][1], '^%d+') .. '\\n' .. entries[i][2][4]
  end
  return found
end
`

// Appends a message, and tells who listens in other processes. In a cluster PUBLISH would be SPUBLISH. A message that was merged
// because nobody knew where it was is not appended when it arrives after all.
//   KEYS[1] head, [2] log, [3] ids that were merged, [4] sizes    ARGV[1] name for pub/sub, [2] message, [3] an epoch in case one begins,
//     [4] the epoch that is known, or '-' when nothing is to be returned, [5] the offset that was seen in it, [6] the offset to return from
//   returns { epoch, its offset, 1 when Redis had lost the channel else 0, messages: all when the epoch is another one }; the
//     message itself is among them also where there is no room for it in the log
export const APPEND = script(`${HEAD}
open(ARGV[3], ARGV[4], ARGV[5])
local hasRoom = true
if redis.call('SISMEMBER', KEYS[3], string.match(ARGV[2], '^[^\\n]*')) == 0 then
  local wasEmpty = redis.call('XLEN', KEYS[2]) == 0
  append(ARGV[1], 0, ARGV[2])
  hasRoom = trim(KEYS[4], wasEmpty, sizeOf(ARGV[2]))
end
close()
local found = {}
if ARGV[4] ~= '-' then found = after(epoch == ARGV[4] and tonumber(ARGV[6]) or 0) end
if not hasRoom then found[1] = text(offset) .. '\\n' .. ARGV[2] end
return { epoch, text(offset), isLost and 1 or 0, found }`)

// Where a channel is, and the messages after an offset; it begins when it is not there.
//   KEYS[1] head, [2] log    ARGV[1] an epoch in case one begins, '' to leave it, [2] the epoch that is known, or '',
//     [3] the offset that was seen in it, [4] the offset to return from
//   returns as APPEND, with the epoch '' when there is no channel
export const READ = script(`${HEAD}
open(ARGV[1], ARGV[2], ARGV[3])
if ARGV[1] ~= '' then close() end
local found = after(epoch == ARGV[2] and tonumber(ARGV[4]) or 0)
return { epoch or '', text(offset), isLost and 1 or 0, found }`)

// Appends what was published while Redis was away, each message once, by id. The epoch ends unless it has since: who listens
// learns by it that these are older than their place says. It ends too when others may have seen them: what Redis has lost. A message that Redis may have had, and that would have been dropped
// from the log since, cannot be told from one that it has not: it is not appended.
//   KEYS[1] head, [2] log, [3] ids that were merged, [4] sizes    ARGV[1] name for pub/sub, [2] an epoch in case one begins, [3] the epoch
//     that was known, or '', [4] the offset that was seen in it, and for each message what it is ('new', 'asked' when Redis was asked,
//     'lost' when it had it), its age, ms, its id, and itself
//   returns how many were appended
export const MERGE = script(`${HEAD}
open(ARGV[2], ARGV[3], ARGV[4])
local there = {}
local entries = redis.call('XRANGE', KEYS[2], '-', '+')
for i = 1, #entries do there[string.match(entries[i][2][4], '^[^\\n]*')] = true end
local function isThere(id) return there[id] or redis.call('SISMEMBER', KEYS[3], id) == 1 end
local function reaches(ageMs)
  if isLost or trimmed == 0 then return true end
  if ARGV[3] ~= '' then return trimmed <= tonumber(ARGV[4]) end
  return entries[1] ~= nil and tonumber(entries[1][2][2]) <= now - ageMs
end
local appended, added = 0, 0
for i = 5, #ARGV, 4 do
  if not isThere(ARGV[i + 2]) and (ARGV[i] ~= 'asked' or reaches(tonumber(ARGV[i + 1]))) then
    if epoch == ARGV[3] or ARGV[i] == 'lost' then epoch = ARGV[2] end
    append(ARGV[1], tonumber(ARGV[i + 1]), ARGV[i + 3])
    redis.call('SADD', KEYS[3], ARGV[i + 2])
    appended = appended + 1
    added = added + sizeOf(ARGV[i + 3])
  end
end
if appended > 0 then trim(KEYS[4], #entries == 0, added) end
redis.call('PEXPIRE', KEYS[3], text(TTL * 5)) -- a network keeps nothing for longer
close()
return appended`)

// A notice tells who listens of a change among the members: an empty line, which no message begins with, its kind, the rest of
// the lease in ms, node, info and id, one a line.
const HERE = `
${BEGIN}
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function member(value) return string.match(value or '', '^(%d+)\\n([^\\n]*)\\n(.*)$') end
local function held(id) return member(redis.call('HGET', KEYS[1], id)) end
local function tell(kind, id, restMs, node, info)
  redis.call('PUBLISH', ARGV[1], table.concat({ '', kind, text(restMs), node, info, id }, '\\n'))
end
local function put(kind, id, restMs, node, info)
  local _, nodeBefore, infoBefore = held(id)
  redis.call('HSET', KEYS[1], id, text(now + restMs) .. '\\n' .. node .. '\\n' .. info)
  if node ~= nodeBefore or info ~= infoBefore then tell(kind, id, restMs, node, info) end
end
local function remove(kind, id, node, info)
  redis.call('HDEL', KEYS[1], id)
  tell(kind, id, 0, node, info)
end
local function sweep()
  local members = {}
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local untilMs, node, info = member(all[i + 1])
    if tonumber(untilMs) <= now then
      remove('lost', all[i], node, info)
    else
      for _, part in ipairs({ all[i], text(untilMs - now), node, info }) do members[#members + 1] = part end
    end
  end
  return members
end
`

// Puts a member into a channel, or its new info, unless enough others are there.
//   KEYS[1] here    ARGV[1] name for pub/sub, [2] id, [3] node, [4] info, [5] how many others are enough, [6] lease, ms
//   returns { 1 when it is in else 0, members: id, rest of its lease in ms, node and info of each }    tells in, lost
export const ENTER = script(`${HERE}
sweep()
local isIn = redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[5])
if isIn then
  put('in', ARGV[2], tonumber(ARGV[6]), ARGV[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[1], text(ARGV[6] * 2))
end
return { isIn and 1 or 0, sweep() }`)

// What a node says of its members: who has left, and who is there, whose leases are renewed; who has entered elsewhere since is
// that node's. When it says who is there in all, its others are taken out. Where nobody is in it, what it knows of other nodes'
// members is put back for the rest of their leases.
//   KEYS[1] here    ARGV[1] name for pub/sub, [2] node, [3] lease, ms, [4] 1 when it says who is there in all else 0, [5] how
//     many are there, [6] how many have left, then id and info of each, ids, and for each of other nodes id, rest of its lease
//     in ms, node and info
//   returns as ENTER    tells back, out, lost
export const RENEW = script(`${HERE}
local there, left = tonumber(ARGV[5]), tonumber(ARGV[6])
local isEmpty = redis.call('EXISTS', KEYS[1]) == 0
local at = 7
local said = {}
for _ = 1, there do
  local id, info = ARGV[at], ARGV[at + 1]
  local untilMs, node = held(id)
  said[id] = true
  if not node or node == ARGV[2] or tonumber(untilMs) <= now then
    put('back', id, tonumber(ARGV[3]), ARGV[2], info)
  end
  at = at + 2
end
for _ = 1, left do
  local _, node, info = held(ARGV[at])
  if node == ARGV[2] then remove('out', ARGV[at], node, info) end
  at = at + 1
end
if isEmpty then
  for i = at, #ARGV, 4 do put('back', ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]) end
end
if ARGV[4] == '1' then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local _, node, info = member(all[i + 1])
    if node == ARGV[2] and not said[all[i]] then remove('out', all[i], node, info) end
  end
end
if there > 0 or isEmpty then redis.call('PEXPIRE', KEYS[1], text(ARGV[3] * 2)) end
return { 1, sweep() }`)
