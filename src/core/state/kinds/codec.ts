// How records, claims and marks are written in Redis and on disk: what state-scripts.ts reads.
import type { Claim, Mark, StateRecord } from './versioned-entry.ts'

const NEWLINE = 0x0a
const DESTROYED = '!'

/** The bytes of a value that is a string in Redis. */
export function encodeValue(value: StateRecord | Claim | Mark): Buffer {
  if (value.kind === 'mark') return Buffer.from(String(value.number))
  const { timestamp, bytes } = value
  if (bytes === undefined) return Buffer.from(`${timestamp}${DESTROYED}\n`)
  const encoded = Buffer.allocUnsafe(timestamp.length + 1 + bytes.length)
  encoded.write(timestamp, 'latin1')
  encoded[timestamp.length] = NEWLINE
  encoded.set(bytes, timestamp.length + 1)
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
  const timestamp = isDestroyed ? head.slice(0, -1) : head
  if (!/^\d{16}\.\w+$/.test(timestamp)) return undefined
  const bytes = isDestroyed ? undefined : encoded.subarray(end + 1)
  if (kind === 'record') return { kind, timestamp, bytes }
  return bytes && { kind, timestamp, bytes }
}
