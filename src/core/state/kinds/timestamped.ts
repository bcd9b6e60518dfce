// How a register with a timestamp is written: "<timestamp>\n<bytes>", with a "!" after the timestamp of a tombstone.
import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import type { Timestamp } from './kind.ts'

const NEWLINE = 0x0a
const TOMBSTONE = '!'
const HEAD = /^(\d{16}\.\w+)(!?)$/

/** Lua: the head of such a register, without its line break; nil when it is not one, which counts as absent. */
export const headInLua = ({ hasTombstones }: { hasTombstones: boolean }) => `
local function head(register)
  return register and string.match(register, '^(${'%d'.repeat(16)}%.[%w_]+${hasTombstones ? '!?' : ''})\\n')
end`

interface Timestamped {
  readonly timestamp: Timestamp
  /** Undefined: a tombstone. */
  readonly bytes: Buffer | undefined
}

export function encodeTimestamped({ timestamp, bytes }: Timestamped): Buffer {
  if (bytes === undefined) return Buffer.from(`${timestamp}${TOMBSTONE}\n`)
  const encoded = Buffer.allocUnsafe(timestamp.length + 1 + bytes.length)
  encoded.write(timestamp, 'latin1')
  encoded[timestamp.length] = NEWLINE
  encoded.set(bytes, timestamp.length + 1)
  return encoded
}

export function decodeTimestamped(encoded: Buffer): Timestamped | Corrupt {
  const end = encoded.indexOf(NEWLINE)
  const [, timestamp, tombstone] = HEAD.exec(encoded.toString('latin1', 0, Math.max(0, end))) ?? []
  if (timestamp === undefined) return corrupt
  return { timestamp, bytes: tombstone ? undefined : encoded.subarray(end + 1) }
}

/** Measured: of an entry under a key of 72 letters, without its bytes. */
export const sizeOfTimestamped = ({ bytes }: Timestamped) => 150 + (bytes?.byteLength ?? 0)
