// How much memory a message takes here, roughly: enough to keep what is remembered within bounds, whatever it is made of.
import type { Draft, Json } from './bus.ts'

const MESSAGE_BYTES = 300 // itself, without its data
const VALUE_BYTES = 32

const sizes = new WeakMap<Draft, number>()

/** Counted once for each message. */
export function bytesOf(message: Draft): number {
  const known = sizes.get(message)
  if (known !== undefined) return known
  const bytes = MESSAGE_BYTES + bytesIn(message.data)
  sizes.set(message, bytes)
  return bytes
}

// A list of empty objects takes twenty times as much as its JSON: so values are counted, not only characters.
function bytesIn(data: Json): number {
  if (typeof data === 'string') return VALUE_BYTES + data.length
  if (typeof data !== 'object' || data === null) return VALUE_BYTES
  let bytes = VALUE_BYTES
  for (const [name, value] of Object.entries(data)) bytes += VALUE_BYTES + name.length + bytesIn(value)
  return bytes
}
