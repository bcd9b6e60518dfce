// The members of channels in Redis: their Lua, and what its answers and notices say. Each channel has a hash `here`:
// a field for each member, with the end of its lease, its node and its info, separated by line breaks.
import { corrupt, parseJson } from '../../lib/codec.ts'
import { MINUTE } from '../../lib/time.ts'
import { keys } from '../keys.ts'
import { type Script, script } from '../redis/script-runner.ts'
import type { Json, Member } from './bus.ts'
import { begin } from './channel-scripts.ts'

/** How long a member counts as present after its process has last said so. */
export const PRESENCE_LEASE_MS = MINUTE

export interface RemoteMember extends Member {
  /** The process that it belongs to. */
  readonly node: string
  readonly restMs: number
}

export interface PresenceReply {
  readonly isIn: boolean
  readonly members: readonly RemoteMember[]
}

const NOTICES = ['in', 'back', 'out', 'lost'] as const

/** `in`, `out`: it has entered or left. `back`: its process says so again. `lost`: its lease has ended. */
export interface Notice {
  readonly kind: (typeof NOTICES)[number]
  readonly member: RemoteMember
}

/** What a process says of a channel. */
export interface PresenceReport {
  readonly own: ReadonlyMap<string, Json>
  /** Whether `own` are all. */
  readonly isWhole: boolean
  readonly left: readonly string[]
  /** Members of other processes, as far as it knows. */
  readonly others: readonly RemoteMember[]
}

export interface RedisPresence {
  enter(channel: string, member: Member, most: number): Promise<PresenceReply>
  renew(channel: string, report: PresenceReport): Promise<PresenceReply>
}

// `tell` publishes a notice: an empty line, with which no message begins, its kind, the rest of the lease in ms,
// node, info and id, separated by line breaks. A field that cannot be read counts as absent: it is deleted, and
// counted in the reply.
const PRESENCE = `${begin('hash')}
local unreadable = 0
local function read(value)
  local untilMs, node, info = string.match(value or '', '^(%d+)\\n([^\\n]*)\\n(.*)$')
  if untilMs and #untilMs <= 15 then return tonumber(untilMs), node, info end
end
local function held(id) return read(redis.call('HGET', KEYS[1], id)) end
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
    local untilMs, node, info = read(all[i + 1])
    if not untilMs then
      redis.call('HDEL', KEYS[1], all[i])
      unreadable = unreadable + 1
    elseif untilMs <= now then
      remove('lost', all[i], node, info)
    else
      for _, part in ipairs({ all[i], text(untilMs - now), node, info }) do members[#members + 1] = part end
    end
  end
  return members
end
`

// Puts a member into a channel, or its new info, unless enough others are in it.
//   KEYS[1] here
//   ARGV[1] name for pub/sub, [2] id, [3] node, [4] info, [5] how many others are enough, [6] lease, ms
//   returns { keys of another type, 1 when it is in else 0, members: id, rest of its lease in ms, node and info of
//     each, how many could not be read }    tells in, lost
const ENTER = script(`${PRESENCE}
sweep()
local isIn = redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[5])
if isIn then
  put('in', ARGV[2], tonumber(ARGV[6]), ARGV[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[1], text(ARGV[6] * 2))
end
return { foreign, isIn and 1 or 0, sweep(), unreadable }`)

// What a node says of its members: who has left, and who is in it, whose leases are renewed; a member that has
// entered through another node since is that node's. When it says that these are all, its others are taken out. Where
// the channel has no members at all, what it knows of other nodes' members is put back for the rest of their leases.
//   KEYS[1] here
//   ARGV[1] name for pub/sub, [2] node, [3] lease, ms, [4] 1 when these are all else 0, [5] how many are in it,
//     [6] how many have left, then id and info of each, ids, and for each of other nodes id, rest of its lease in ms,
//     node and info
//   returns as ENTER    tells back, out, lost
const RENEW = script(`${PRESENCE}
local present, left = tonumber(ARGV[5]), tonumber(ARGV[6])
local isEmpty = redis.call('EXISTS', KEYS[1]) == 0
local at = 7
local said = {}
for _ = 1, present do
  local id, info = ARGV[at], ARGV[at + 1]
  local untilMs, node = held(id)
  said[id] = true
  if not node or node == ARGV[2] or untilMs <= now then put('back', id, tonumber(ARGV[3]), ARGV[2], info) end
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
    local _, node, info = read(all[i + 1])
    if node == ARGV[2] and not said[all[i]] then remove('out', all[i], node, info) end
  end
end
if present > 0 or isEmpty then redis.call('PEXPIRE', KEYS[1], text(ARGV[3] * 2)) end
return { foreign, 1, sweep(), unreadable }`)

export interface RedisPresenceOptions {
  run: (script: Script, names: string[], ...args: (string | number)[]) => Promise<unknown[]>
  wireName: (channel: string) => string
  node: string
  /** Called with a channel that has a member which cannot be read. */
  unreadable: (channel: string) => void
}

export function createRedisPresence({
  run,
  wireName,
  node,
  unreadable,
}: RedisPresenceOptions): RedisPresence {
  async function ask(channel: string, script: Script, ...args: (string | number)[]): Promise<PresenceReply> {
    const reply = await run(script, [keys.busHere(channel)], wireName(channel), ...args)
    const [isIn, flat, notRead] = reply as [number, Buffer[], number]
    const parts = flat.map(String)
    const members: RemoteMember[] = []
    let isReadable = notRead === 0
    for (let i = 0; i < parts.length; i += 4) {
      const member = decodeMember(parts.slice(i, i + 4))
      if (member === corrupt) isReadable = false
      else members.push(member)
    }
    if (!isReadable) unreadable(channel)
    return { isIn: isIn === 1, members }
  }

  return {
    enter: (channel, { id, info }, most) =>
      ask(channel, ENTER, id, node, JSON.stringify(info), most, PRESENCE_LEASE_MS),
    renew(channel, { own, isWhole, left, others }) {
      const held = [...own].flatMap(([id, info]) => [id, JSON.stringify(info)])
      const known = others.flatMap((other) => [
        other.id,
        Math.max(0, other.restMs),
        other.node,
        JSON.stringify(other.info),
      ])
      const counts = [isWhole ? 1 : 0, own.size, left.length]
      return ask(channel, RENEW, node, PRESENCE_LEASE_MS, ...counts, ...held, ...left, ...known)
    },
  }
}

function decodeMember([id = '', rest = '', node = '', json = '']: readonly string[]) {
  const info = parseJson(json)
  const restMs = Number(rest)
  if (info === corrupt || !(restMs >= 0)) return corrupt
  return { id, restMs, node, info: info as Json }
}

/** Whether this is a notice by its first byte, else a message. */
export const isNotice = (text: string) => text.startsWith('\n')

/** A notice as pub/sub brings it, or `corrupt`. */
export function decodeNotice(text: string): Notice | typeof corrupt {
  const [name, rest = '', node = '', info = '', ...id] = text.slice(1).split('\n')
  const kind = NOTICES.find((one) => one === name)
  const member = decodeMember([id.join('\n'), rest, node, info])
  return kind === undefined || member === corrupt ? corrupt : { kind, member }
}
