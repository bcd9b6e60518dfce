// The last sessions that were read, decoded: a browser's next request asks for the same version, of which the standby
// has the same bytes. A record is never changed: a change makes a new one.
import { decodeRecord, type SessionRecord } from './session-record.ts'

/** Beyond them the one decoded longest ago is forgotten, which costs decoding it again: a session has some 2 kB. */
const MOST_DECODED = 1_000

/** What a feature keeps in a session may be large: then it is decoded each time. */
const LARGE_BYTES = 8 * 1024

export interface DecodedRecords {
  /** What these bytes say, which were read under this hash. Undefined for what is no session. */
  of(hash: string, bytes: Buffer): SessionRecord | undefined
}

export function createDecodedRecords(): DecodedRecords {
  const decoded = new Map<string, { readonly bytes: Buffer; readonly record: SessionRecord }>()
  return {
    of(hash, bytes) {
      const known = decoded.get(hash)
      if (known?.bytes === bytes) return known.record
      const record = decodeRecord(bytes)
      decoded.delete(hash)
      if (!record || bytes.length > LARGE_BYTES) return record
      const [oldest] = decoded.size < MOST_DECODED ? [] : decoded.keys()
      if (oldest !== undefined) decoded.delete(oldest)
      decoded.set(hash, { bytes, record })
      return record
    },
  }
}
