// Numbers by field, each of which only grows: the generation counters. `top` is the highest of all. Past 1,000
// fields the lowest are folded into `all`, which stands for every field that is not there: it says more than was
// said, never less. Nothing of it expires.

import { corrupt, parseJson } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import type { Entry, Kind, Pairs } from './kind.ts'
import { onDiskAsText } from './text-on-disk.ts'

export interface MaxRegisterMap {
  readonly kind: 'max-register-map'
  readonly fields: ReadonlyMap<string, number>
}

const MOST_FIELDS = 1_000 // `all` and `top` among them

export const NO_FIELDS: MaxRegisterMap = { kind: 'max-register-map', fields: new Map() }

// Lua: the number of a field, where what is no number counts as 0; and the fold, the same as folded().
const FIELDS_IN_LUA = `
local function numberOf(field) return tonumber(redis.call('HGET', KEYS[1], field) or '') or 0 end
local function put(field, number) redis.call('HSET', KEYS[1], field, string.format('%.0f', number)) end
local function fold()
  local found, numbers, all = redis.call('HGETALL', KEYS[1]), {}, numberOf('all')
  for i = 1, #found, 2 do
    if found[i] ~= 'all' and found[i] ~= 'top' then table.insert(numbers, tonumber(found[i + 1]) or 0) end
  end
  if #numbers > ${MOST_FIELDS - 2} then
    table.sort(numbers, function(a, b) return a > b end)
    all = math.max(all, numbers[${MOST_FIELDS - 1}])
    put('all', all)
  end
  for i = 1, #found, 2 do
    local isOwn = found[i] ~= 'all' and found[i] ~= 'top'
    if isOwn and (tonumber(found[i + 1]) or 0) <= all then redis.call('HDEL', KEYS[1], found[i]) end
  end
end`

//   ARGV[2…] field and number of each
const MERGE = script(`${FIELDS_IN_LUA}
for i = 2, #ARGV, 2 do
  local number = tonumber(ARGV[i + 1])
  if number > numberOf(ARGV[i]) then put(ARGV[i], number) end
end
fold()
return 1`)

// Gives the fields the next number above all. The same as bumped().
//   KEYS[1] hash    ARGV[1] floor, [2…] fields    returns the number
export const BUMP = script(`${FIELDS_IN_LUA}
local top = math.max(tonumber(ARGV[1]), numberOf('top')) + 1
for i = 2, #ARGV do put(ARGV[i], top) end
put('top', top)
fold()
return string.format('%.0f', top)`)

const isPairs = (json: unknown): json is Pairs =>
  Array.isArray(json) && json.every((pair) => Array.isArray(pair) && typeof pair[0] === 'string')

const mapOf = (pairs: Pairs): MaxRegisterMap => ({
  kind: 'max-register-map',
  // In Redis they have no checksums. A number that nobody can count on from would be the last one for ever.
  fields: new Map(pairs.filter(([, number]) => Number.isSafeInteger(number))),
})

export const maxRegisterMap: Kind<MaxRegisterMap> = {
  name: 'max-register-map',
  storedAs: 'counters',
  merge(a, b) {
    if (covers(a, b)) return a
    if (covers(b, a)) return b
    const fields = new Map(a.value.fields)
    for (const [field, number] of b.value.fields) fields.set(field, Math.max(number, fields.get(field) ?? 0))
    return entryOf(folded(fields))
  },
  script: MERGE,
  toArguments: ({ fields }) => [...fields].flat(),
  inRedis: {
    type: 'hash',
    decode: (pairs) => ({ value: mapOf(pairs), damaged: [], isCurrent: true }),
  },
  onDisk: onDiskAsText(
    'counters',
    ({ fields }) => JSON.stringify([...fields]),
    (text) => {
      const pairs = parseJson(text, isPairs)
      return pairs === corrupt ? corrupt : mapOf(pairs)
    },
  ),
  sizeOf: () => 0, // bounded by itself, and a clear must not fail because memory is full
}

/** Gives the fields the next number above all, and above `floor`. */
export function bumped({ fields: before }: MaxRegisterMap, names: readonly string[], floor: number) {
  const fields = new Map(before)
  const top = Math.max(floor, fields.get('top') ?? 0) + 1
  for (const field of [...names, 'top']) fields.set(field, top)
  return { entry: entryOf(folded(fields)), top }
}

const entryOf = (fields: ReadonlyMap<string, number>): Entry<MaxRegisterMap> => ({
  value: { kind: 'max-register-map', fields },
  expiresAtMs: Number.POSITIVE_INFINITY,
})

function folded(fields: Map<string, number>): Map<string, number> {
  const own = () => [...fields].filter(([field]) => field !== 'all' && field !== 'top')
  const numbers = own().map(([, number]) => number)
  let all = fields.get('all') ?? 0
  if (numbers.length > MOST_FIELDS - 2) {
    all = Math.max(all, numbers.sort((a, b) => b - a)[MOST_FIELDS - 2] ?? 0)
    fields.set('all', all)
  }
  for (const [field, number] of own()) if (number <= all) fields.delete(field)
  return fields
}

/** Whether `a` says everything that `b` says. */
function covers({ value: a }: Entry<MaxRegisterMap>, { value: b }: Entry<MaxRegisterMap>): boolean {
  const all = a.fields.get('all') ?? 0
  const inA = (field: string) => Math.max(a.fields.get(field) ?? 0, field === 'top' ? 0 : all)
  return [...b.fields].every(([field, number]) => inA(field) >= number)
}
