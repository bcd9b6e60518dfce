// The times in a set: each carries a checksum over the set's kind and key, the entry's name, and the time itself, as
// the part below a millisecond. An odd number of 4096ths: 11 bits, which detect every change of one byte, and a 1, so
// that a time with a checksum is never a whole number. Every reader, the release before this one too, may take it for
// a time.
import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import { DAY } from '../../../lib/time.ts'
import type { Pairs } from './kind.ts'

const PARTS = 4096
const LAST_MS = 2 ** 41 // in the year 2039: from there on a double has no room for the parts
const FARTHEST_MS = 366 * DAY // no entry lasts longer: a later whole number is a damaged one
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let rest = byte << 3
  for (let bit = 0; bit < 8; bit += 1) rest = ((rest << 1) ^ (rest & 0x400 ? 0x385 : 0)) & 0x7ff
  return rest
})

function crc11(text: string): number {
  let rest = 0x7ff
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    rest = ((rest << 8) & 0x7ff) ^ (TABLE[((rest >> 3) ^ code) & 0xff] ?? 0)
    if (code > 0xff) rest = ((rest << 8) & 0x7ff) ^ (TABLE[((rest >> 3) ^ (code >> 8)) & 0xff] ?? 0)
  }
  return rest
}

/** The time of an entry, with its checksum. */
export function sealTime(storedAs: string, key: string, name: string, timeMs: number): number {
  const wholeMs = Math.floor(timeMs)
  if (wholeMs < 0 || wholeMs >= LAST_MS) return wholeMs
  return wholeMs + (2 * crc11(`${storedAs} ${key} ${name} ${wholeMs}`) + 1) / PARTS
}

/** The time, with its checksum; one without any is of another release, and gets it. */
function checkTime(storedAs: string, key: string, name: string, timeMs: number): number | Corrupt {
  if (name.includes('\ufffd')) return corrupt // no UTF-8
  const sealed = sealTime(storedAs, key, name, timeMs)
  if (timeMs === sealed) return timeMs < LAST_MS || timeMs < Date.now() + FARTHEST_MS ? timeMs : corrupt
  const isPlain = Number.isInteger(timeMs) && timeMs >= 0 && timeMs < LAST_MS
  return isPlain ? sealed : corrupt
}

/** Those entries that are what was written, those that are not, and whether all of the former had checksums. */
export function checkTimes(storedAs: string, key: string, pairs: Pairs) {
  const sound: (readonly [string, number])[] = []
  const damaged: (readonly [string, number])[] = []
  let isCurrent = true
  for (const pair of pairs) {
    const [name, foundMs] = pair
    const timeMs = checkTime(storedAs, key, name, foundMs)
    if (timeMs === corrupt) damaged.push(pair)
    else sound.push([name, timeMs])
    if (timeMs !== corrupt && timeMs !== foundMs) isCurrent = false
  }
  return { sound, damaged, isCurrent }
}
