// A key of a word that nobody declared, or declared otherwise, is refused with what to do, and without the key.
import { createKeyKinds } from '../../src/core/keys.ts'
import { createState } from '../../src/core/state/create-state.ts'
import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import { createCoarseCounts } from '../../src/core/state/limits/coarse-counts.ts'

const kindOf = createKeyKinds([{ kinds: { 'poll-seen': 'lww-register' } }])
const state = createState({
  store: {} as never,
  kindOf,
  hybridClock: createHybridClock(),
  known: () => [],
  placeOf: ([first]) => first,
  coarse: createCoarseCounts(() => {}),
})
const claim = (key: string) => state.claim(key, Buffer.from('1'), 1_000)
const remedy =
  "this call is for a first-write-wins-register: name the word and its kind in `keys` of the feature's manifest"

test.each([
  ['poll-vote:1:telegram:7', `keys that begin with "poll-vote" are not declared, and ${remedy}`],
  ['poll-seen:1', `keys that begin with "poll-seen" are declared as a lww-register, and ${remedy}`],
])('a claim of %s', async (key, sentence) => {
  await expect(claim(key)).rejects.toThrow(new TypeError(sentence))
})
