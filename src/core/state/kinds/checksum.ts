// Checksums of stored values. A value carries one over its kind, its key and itself, so that changed bytes, and a
// value under another's key, are `corrupt`. The release before this one reads the same bytes: each form below is a
// spelling that it takes for the plain value. What it writes has none, and is accepted as it is.
import { crc32 } from 'node:zlib'
import { type Corrupt, corrupt } from '../../../lib/codec.ts'

// Of short texts, which keys and heads are, a loop over a table costs half of a call of zlib.
const LONG = 256
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1
  return rest
})

/** The CRC-32 of the text as UTF-8, after that of what stands before it. */
function crcOf(text: string, before = 0): number {
  if (text.length > LONG) return crc32(text, before)
  let rest = ~before
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return crc32(text, before)
    rest = (TABLE[(rest ^ code) & 0xff] as number) ^ (rest >>> 8)
  }
  return ~rest >>> 0
}

/** Of a value under its key. */
export function crcUnder(storedAs: string, key: string, text: string, bytes?: Buffer): number {
  const ofText = crcOf(text, crcOf('\n', crcOf(key, crcOf(' ', crcOf(storedAs)))))
  return bytes ? crc32(bytes, ofText) : ofText
}

/** The same as 8 hexadecimal digits. */
export const checksumOf = (storedAs: string, key: string, text: string, bytes?: Buffer): string =>
  hexOf(crcUnder(storedAs, key, text, bytes))

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const hexOf = (crc: number) =>
  `${HEX[crc >>> 24]}${HEX[(crc >>> 16) & 0xff]}${HEX[(crc >>> 8) & 0xff]}${HEX[crc & 0xff]}`

// A text on disk: the checksum follows in white space, which JSON and numbers do not mind.
const BLANKS = ' \t\n\r'
const MARKS = 16 // two bits each
const BYTES_IN_BLANKS = Array.from({ length: 256 }, (_, byte) =>
  [0, 2, 4, 6].map((bit) => BLANKS[(byte >>> bit) & 3]).join(''),
)

/** `of`: what is stored beside the text, and belongs to it. The text must not end with white space. */
export function sealText(of: string, text: string): string {
  const crc = crcOf(text, crcOf('\n', crcOf(of)))
  const marks = [0, 8, 16, 24].map((bit) => BYTES_IN_BLANKS[(crc >>> bit) & 0xff])
  return text + marks.join('')
}

/** The text without its checksum; one without any is of another release, and is given as it is. */
export function unsealText(of: string, sealed: string): string | Corrupt {
  const tail = sealed.slice(-MARKS)
  let blanks = 0
  for (const letter of tail) if (BLANKS.includes(letter)) blanks += 1
  if (blanks < MARKS - 1) return sealed // no text of ours ends like that by itself
  const text = sealed.slice(0, -MARKS)
  return sealText(of, text) === sealed ? text : corrupt
}
