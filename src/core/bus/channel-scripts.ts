// The Lua of the channels' logs: one atomic operation a script. Each channel has
//   a hash `head`    epoch, offset, and what `trim` needs: bytes, slot, trimmed
//   a stream `log`   ids "<offset>-0", with the fields t (when it came, ms, by Redis' clock) and m (id, time and JSON,
//                    separated by line breaks)
//   a set `merged`   ids of messages that were merged
// and all channels together a hash `sizes`. Offsets continue when an epoch begins.
import { MINUTE, SECOND } from '../../lib/time.ts'
import { script } from '../redis/script-runner.ts'
import { HISTORY_BYTES, HISTORY_BYTES_IN_ALL, HISTORY_MESSAGES, HISTORY_MS } from './bus.ts'

/** A channel that is quiet for longer ends in Redis, which is a gap for subscribers: so their processes ask before. */
export const HEAD_MS = 10 * MINUTE

/**
 * How every script of the channel layer begins, with the types of its keys. A key of another type counts as absent:
 * it is deleted, and named in the reply. A full server refuses the first write of a script if it needs memory, and
 * none after it; what these scripts keep is bounded by themselves, so the first write is one that needs none.
 */
export const begin = (...types: string[]) => `
local foreign = {}
for i, key in ipairs(KEYS) do
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= ({ '${types.join("', '")}' })[i] then
    redis.call('DEL', key)
    foreign[#foreign + 1] = key
  end
end
redis.call('HDEL', KEYS[1], '')
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

// `open` reads the head: a log without a head is of an epoch that is over, and one that is behind what the caller has
// seen was set back. `close` writes it. In between are `append`, `trim` and `after`.
//
// A log ends as a whole with the slot of time in which its last message becomes too old, and all logs that end with
// it are counted together: `sizes` has the bytes of each slot, a head those of its log (`bytes`), its slot, and the
// last offset that was dropped for want of room (`trimmed`). What exceeds the bytes of all is dropped from the log
// that is written to.
//
// What cannot be read counts as absent: a number as 0; an entry is passed on without a message, so that the caller
// may say so.
const LOG = `${begin('hash', 'stream', 'set', 'hash')}
local SLOT, TTL = ${10 * SECOND}, ${HISTORY_MS}
local epoch, offset, isLost, isEmpty, counted, slot, trimmed
local function number(value)
  local found = tonumber(value or '')
  return found and found >= 0 and found < 2 ^ 53 and math.floor(found) or 0
end
local function read(entry)
  local fields = entry[2]
  local atMs = fields[1] == 't' and fields[3] == 'm' and tonumber(fields[2])
  if atMs then return atMs, fields[4] end
end
local function isOld(atMs) return now - atMs > TTL end
local function hasEnded(slot) return slot * SLOT <= now end
local function sizeOf(message) return #message + 100 end
local function open(candidate, known, seen)
  local head = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'bytes', 'slot', 'trimmed')
  epoch, offset = head[1], number(head[2])
  counted, slot, trimmed = number(head[3]), number(head[4]), number(head[5])
  if hasEnded(slot) then counted, trimmed = 0, 0 end
  isLost = not epoch or (epoch == known and offset < tonumber(seen))
  if isLost and candidate ~= '' then
    if not epoch then redis.call('DEL', KEYS[2]) end
    epoch = candidate
  end
  isEmpty = redis.call('XLEN', KEYS[2]) == 0
end
local function close()
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', text(offset))
  redis.call('PEXPIRE', KEYS[1], ${HEAD_MS})
end
local function append(name, ageMs, message)
  offset = offset + 1
  local function add(call)
    return call('XADD', KEYS[2], text(offset) .. '-0', 't', text(now - ageMs), 'm', message)
  end
  if type(add(redis.pcall)) == 'table' then -- an error: somebody else has added to the log, under a higher id
    redis.call('DEL', KEYS[2])
    isEmpty = true
    add(redis.call)
  end
  redis.call('PUBLISH', name, epoch .. '\\n' .. text(offset) .. '\\n' .. message)
end
local function sizeOfOthers()
  local sum = -counted
  local all = redis.call('HGETALL', KEYS[4])
  for i = 1, #all, 2 do
    local slot, size = tonumber(all[i]), string.match(all[i + 1], '^%-?%d+$')
    if not slot or not size or #size > 15 or hasEnded(slot) then redis.call('HDEL', KEYS[4], all[i])
    else sum = sum + size end
  end
  return sum
end
local function trim(added)
  local bytes = (isEmpty and 0 or counted) + added
  local others = sizeOfOthers()
  for length = redis.call('XLEN', KEYS[2]), 1, -1 do
    local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    local atMs, message = read(first)
    local isDone = not atMs or isOld(atMs)
    local isTooMuch = length > ${HISTORY_MESSAGES} or bytes > ${HISTORY_BYTES}
      or others + bytes > ${HISTORY_BYTES_IN_ALL}
    if not isDone and not isTooMuch then break end
    redis.call('XDEL', KEYS[2], first[1])
    if message then bytes = math.max(0, bytes - sizeOf(message)) end
    if not isDone then trimmed = number(string.match(first[1], '^%d+')) end
  end
  local hasRoom = redis.call('XLEN', KEYS[2]) > 0
  if not hasRoom then bytes = 0 end
  if counted > 0 then redis.call('HINCRBY', KEYS[4], text(slot), text(-counted)) end
  slot = math.ceil((now + TTL) / SLOT)
  redis.call('HINCRBY', KEYS[4], text(slot), text(bytes))
  redis.call('PEXPIREAT', KEYS[4], text((slot + 1) * SLOT))
  redis.call('PEXPIREAT', KEYS[2], text(slot * SLOT))
  redis.call('HSET', KEYS[1], 'bytes', text(bytes), 'slot', text(slot), 'trimmed', text(trimmed))
  return hasRoom
end
local function after(from)
  local found = {}
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], text(from + 1) .. '-0', '+')) do
    local atMs, message = read(entry)
    if #found > 0 or not atMs or not isOld(atMs) then
      found[#found + 1] = string.match(entry[1], '^%d+') .. '\\n' .. (message or '')
    end
  end
  return found
end
`

// Appends a message, and publishes it for other processes. In a cluster PUBLISH would be SPUBLISH. A message that was
// merged because nobody knew where it was is not appended when it arrives after all.
//   KEYS[1] head, [2] log, [3] merged, [4] sizes
//   ARGV[1] name for pub/sub, [2] message, [3] an epoch in case one begins, [4] the epoch that is known, or '-' when
//     nothing is to be returned, [5] the offset that was seen in it, [6] the offset to return from
//   returns { keys of another type, epoch, its offset, 1 when Redis had lost the channel else 0, messages: all when the
//     epoch is another one }; the message itself is among them also where there is no room for it in the log
export const APPEND = script(`${LOG}
open(ARGV[3], ARGV[4], ARGV[5])
local hasRoom = true
if redis.call('SISMEMBER', KEYS[3], string.match(ARGV[2], '^[^\\n]*')) == 0 then
  append(ARGV[1], 0, ARGV[2])
  hasRoom = trim(sizeOf(ARGV[2]))
end
close()
local found = {}
if ARGV[4] ~= '-' then found = after(epoch == ARGV[4] and tonumber(ARGV[6]) or 0) end
if not hasRoom then found[1] = text(offset) .. '\\n' .. ARGV[2] end
return { foreign, epoch, text(offset), isLost and 1 or 0, found }`)

// Where a channel is, and the messages after an offset; it begins when it is not there.
//   KEYS[1] head, [2] log
//   ARGV[1] an epoch in case one begins, '' to begin none, [2] the epoch that is known, or '', [3] the offset that was
//     seen in it, [4] the offset to return from
//   returns as APPEND, with the epoch '' when there is no channel
export const READ = script(`${LOG}
open(ARGV[1], ARGV[2], ARGV[3])
if ARGV[1] ~= '' then close() end
local found = after(epoch == ARGV[2] and tonumber(ARGV[4]) or 0)
return { foreign, epoch or '', text(offset), isLost and 1 or 0, found }`)

// Appends what was published while Redis was away, each message once, by id. The epoch ends unless it has ended
// since: by that subscribers learn that these messages are older than their position says. It ends, too, when others
// may have seen them: they are what Redis has lost. A message that Redis may have had, and that would have been
// dropped from the log since, cannot be told from one that it never had: it is not appended.
//   KEYS[1] head, [2] log, [3] merged, [4] sizes
//   ARGV[1] name for pub/sub, [2] an epoch in case one begins, [3] the epoch that was known, or '', [4] the offset that
//     was seen in it, and for each message its kind ('new', 'asked' when Redis was asked, 'lost' when it had it), its
//     age, ms, its id, and itself
//   returns { keys of another type }
export const MERGE = script(`${LOG}
open(ARGV[2], ARGV[3], ARGV[4])
local inLog = {}
local entries = redis.call('XRANGE', KEYS[2], '-', '+')
for _, entry in ipairs(entries) do
  local _, message = read(entry)
  if message then inLog[string.match(message, '^[^\\n]*')] = true end
end
local function isThere(id) return inLog[id] or redis.call('SISMEMBER', KEYS[3], id) == 1 end
local function reaches(ageMs)
  if isLost or trimmed == 0 then return true end
  if ARGV[3] ~= '' then return trimmed <= tonumber(ARGV[4]) end
  local first = entries[1] and read(entries[1])
  return first ~= nil and first <= now - ageMs
end
local added = 0
for i = 5, #ARGV, 4 do
  local kind, ageMs, id, message = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  if not isThere(id) and (kind ~= 'asked' or reaches(ageMs)) then
    if epoch == ARGV[3] or kind == 'lost' then epoch = ARGV[2] end
    append(ARGV[1], ageMs, message)
    redis.call('SADD', KEYS[3], id)
    added = added + sizeOf(message)
  end
end
if added > 0 then trim(added) end
redis.call('PEXPIRE', KEYS[3], text(TTL * 5)) -- a network keeps nothing for longer
close()
return { foreign }`)
