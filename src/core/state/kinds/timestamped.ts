// How a register with a timestamp is written: "<timestamp>\n<bytes>", with a "!" after the timestamp of a tombstone.
// The timestamp of a value that is stored ends with the value's checksum: "<ms>.p<writer>_<checksum>". It is part of
// the version, the same in memory, in Redis and on disk, and so decides between two values of one time. On disk the
// end of the value follows, "x<end, base 36><its checksum>".
//
// The release before this one takes all of that for the writer's name. What it writes, "<ms>.<writer>", gets its
// checksum when it is first read. No change of one byte makes one form of the other: a "p" is no hexadecimal digit.
import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import { checksumOf } from './checksum.ts'
import type { Timestamp } from './kind.ts'

const NEWLINE = 0x0a
const MOST_HEAD_BYTES = 80
const TOMBSTONE = '!'
const PLAIN = /^(\d{16})\.([0-9a-f]{1,16})(!?)$/
const MARK_AT = 17 // of the "p"
const MARK = 0x70
const END_DIGITS = 9
const CHECKSUM_CHARS = 9 // with the "_"

/**
 * Lua: the head of such a register, without its line break; nil when it is not one, which counts as absent. And
 * whether two heads are of one time and writer.
 */
export const headInLua = ({ hasTombstones }: { hasTombstones: boolean }) => `
local function head(register)
  return register and string.match(register, '^(${'%d'.repeat(16)}%.[%w_]+${hasTombstones ? '!?' : ''})\\n')
end
local function isOfOneTime(a, b) return string.match(a, '^[^_]+_') == string.match(b, '^[^_]+_') end`

export interface Timestamped {
  readonly timestamp: Timestamp
  /** Undefined: a tombstone. */
  readonly bytes: Buffer | undefined
}

/** The timestamp of this value under this key. */
export function seal(storedAs: string, key: string, { timestamp, bytes }: Timestamped): Timestamp {
  if (timestamp.charCodeAt(MARK_AT) === MARK) return timestamp
  const marked = `${timestamp.slice(0, MARK_AT)}p${timestamp.slice(MARK_AT)}`
  return `${marked}_${checksumOf(storedAs, key, marked + flagOf(bytes), bytes)}`
}

const flagOf = (bytes: Buffer | undefined) => (bytes === undefined ? TOMBSTONE : '')

/** Bytes for Redis. */
export const encodeTimestamped = ({ timestamp, bytes }: Timestamped): Buffer =>
  encodeUnder(timestamp + flagOf(bytes), bytes)

/** Bytes for the disk. */
export function encodeWithEnd(
  storedAs: string,
  key: string,
  value: Timestamped,
  expiresAtMs: number,
): Buffer {
  const timestamp = seal(storedAs, key, value)
  return encodeUnder(`${timestamp}x${endOf(timestamp, expiresAtMs)}${flagOf(value.bytes)}`, value.bytes)
}

function endOf(timestamp: Timestamp, expiresAtMs: number): string {
  const end = Math.max(0, Math.floor(expiresAtMs)).toString(36).padStart(END_DIGITS, '0')
  return end + checksumOf('end', timestamp, end)
}

function encodeUnder(head: string, bytes: Buffer | undefined): Buffer {
  const encoded = Buffer.allocUnsafe(head.length + 1 + (bytes?.length ?? 0))
  encoded.write(head, 'latin1')
  encoded[head.length] = NEWLINE
  if (bytes) encoded.set(bytes, head.length + 1)
  return encoded
}

/** `endsAtMs`: where the value says itself when it ends. */
export function decodeTimestamped(
  storedAs: string,
  key: string,
  encoded: Buffer,
): (Timestamped & { readonly endsAtMs?: number }) | Corrupt {
  const end = lineEnd(encoded)
  const head = encoded.toString('latin1', 0, end)
  const rest = encoded.subarray(end + 1)
  if (head.charCodeAt(MARK_AT) !== MARK) return decodePlain(storedAs, key, head, rest)
  // What does not have this shape has no such checksum.
  const at = head.indexOf('_')
  const timestamp = head.slice(0, at + CHECKSUM_CHARS)
  const isTombstone = head.endsWith(TOMBSTONE)
  const tail = head.slice(at + CHECKSUM_CHARS, isTombstone ? -1 : undefined)
  if (at < 0 || (isTombstone && rest.length > 0)) return corrupt
  const bytes = isTombstone ? undefined : rest
  const checksum = checksumOf(storedAs, key, head.slice(0, at) + flagOf(bytes), bytes)
  if (!timestamp.endsWith(checksum)) return corrupt
  if (tail === '') return { timestamp, bytes }
  const endsAtMs = Number.parseInt(tail.slice(1, 1 + END_DIGITS), 36)
  return tail === `x${endOf(timestamp, endsAtMs)}` ? { timestamp, bytes, endsAtMs } : corrupt
}

/** Where the head ends; 0 when the bytes have none. */
function lineEnd(encoded: Buffer): number {
  const most = Math.min(encoded.length, MOST_HEAD_BYTES)
  for (let i = 0; i < most; i += 1) if (encoded[i] === NEWLINE) return i
  return 0
}

function decodePlain(storedAs: string, key: string, head: string, rest: Buffer): Timestamped | Corrupt {
  const [, ms, writer, flag] = PLAIN.exec(head) ?? []
  if (ms === undefined) return corrupt
  const bytes = flag === '' ? rest : undefined
  return { timestamp: seal(storedAs, key, { timestamp: `${ms}.${writer}`, bytes }), bytes }
}

/** Whether the bytes in Redis carry a checksum. */
export const isSealed = (encoded: Buffer) => encoded[MARK_AT] === MARK

/** Whether the two are of one time and writer, and not the same: one of them is not what was written. */
export const isOfOneTime = (a: Timestamp, b: Timestamp) =>
  a !== b && a.at(-CHECKSUM_CHARS) === '_' && a.slice(0, -CHECKSUM_CHARS) === b.slice(0, -CHECKSUM_CHARS)

/** Measured: of an entry under a key of 72 letters, without its bytes. */
export const sizeOfTimestamped = ({ bytes }: Timestamped) => 160 + (bytes?.byteLength ?? 0)
