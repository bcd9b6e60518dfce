// Packets of socket.io as JSON: bytes in them become text, and bytes again.
import type { Json } from '../core/bus/bus.ts'

const BYTES = '$bytes'
/** An object of the caller's own that looks like one of ours. */
const ESCAPED = '$object'

/** What JSON cannot say of itself is left out, as socket.io's own parser does. */
export function encodePacket(value: unknown): Json {
  if (value instanceof ArrayBuffer) return { [BYTES]: Buffer.from(value).toString('base64') }
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value
    return { [BYTES]: Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64') }
  }
  if (Array.isArray(value)) return value.map((item) => encodePacket(item) ?? null)
  if (typeof value !== 'object' || value === null) return value as Json
  const { toJSON } = value as { toJSON?: () => unknown }
  if (typeof toJSON === 'function') return encodePacket(toJSON.call(value))
  const known = Object.entries(value).filter(([, item]) => item !== undefined && typeof item !== 'function')
  const encoded = Object.fromEntries(known.map(([name, item]) => [name, encodePacket(item)]))
  return BYTES in encoded || ESCAPED in encoded ? { [ESCAPED]: encoded } : encoded
}

export function decodePacket(json: Json): unknown {
  if (Array.isArray(json)) return json.map(decodePacket)
  if (typeof json !== 'object' || json === null) return json
  const found = json as Readonly<Record<string, Json>>
  if (typeof found[BYTES] === 'string') return Buffer.from(found[BYTES], 'base64')
  const inner = (found[ESCAPED] ?? found) as Readonly<Record<string, Json>>
  return Object.fromEntries(Object.entries(inner).map(([name, item]) => [name, decodePacket(item)]))
}
