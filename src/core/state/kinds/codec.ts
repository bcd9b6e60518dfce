// How records, claims and marks are written in Redis and on disk: what state-scripts.ts reads.
import type { Claim, Mark, StateRecord } from './versioned-entry.ts'

const NEWLINE = 0x0a
const DESTROYED = '!'

/** The bytes of a value that is a string in Redis. */
export function encodeValue(value: StateRecord | Claim | Mark): Buffer {
  if (value.kind === 'mark') return Buffer.from(String(value.number))
  const { stamp, bytes } = value
  if (bytes === undefined) return Buffer.from(`${stamp}${DESTROYED}\n`)
  const encoded = Buffer.allocUnsafe(stamp.length + 1 + bytes.length)
  encoded.write(stamp, 'latin1')
  encoded[stamp.length] = NEWLINE
  encoded.set(bytes, stamp.length + 1)
  return encoded
}

/** The value in these bytes; undefined when they are not one of that kind. */
export function decodeValue(
  kind: 'record' | 'claim' | 'mark',
  encoded: Buffer,
): StateRecord | Claim | Mark | undefined {
  if (kind === 'mark') {
    const number = Number(encoded.toString())
    return encoded.length > 0 && Number.isFinite(number) ? { kind, number } : undefined
  }
  const end = encoded.indexOf(NEWLINE)
  if (end < 0) return undefined
  const head = encoded.toString('latin1', 0, end)
  const isDestroyed = head.endsWith(DESTROYED)
  const stamp = isDestroyed ? head.slice(0, -1) : head
  if (!/^\d{16}\.\w+$/.test(stamp)) return undefined
  const bytes = isDestroyed ? undefined : encoded.subarray(end + 1)
  if (kind === 'record') return { kind, stamp, bytes }
  return bytes && { kind, stamp, bytes }
}
