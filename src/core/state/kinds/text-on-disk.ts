// How the kinds that are a text on disk are written there: with a checksum over the row behind it.
import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import { sealText, unsealText } from './checksum.ts'
import type { Kind } from './kind.ts'

export function onDiskAsText<V extends { readonly kind: string }>(
  storedAs: string,
  encode: (value: V) => string,
  decode: (text: string, key: string) => V | Corrupt,
): Kind<V>['onDisk'] {
  const of = (key: string, expiresAtMs: number) => `${storedAs} ${key} ${expiresAtMs}`
  return {
    encode: ({ value, expiresAtMs }, key) => Buffer.from(sealText(of(key, expiresAtMs), encode(value))),
    decode(bytes, key, columnMs) {
      const text = unsealText(of(key, columnMs), bytes.toString())
      const value = text === corrupt ? corrupt : decode(text, key)
      return value === corrupt ? corrupt : { value, expiresAtMs: columnMs }
    },
  }
}
