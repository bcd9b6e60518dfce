// Checksums of stored values. A value carries one over its kind, its key and itself, so that changed bytes, and a
// value under another's key, are `corrupt`. The release before this one reads the same bytes: each form below is a
// spelling that it takes for the plain value. What it writes has none, and is accepted as it is.
import { crc32 } from 'node:zlib'
import { type Corrupt, corrupt } from '../../../lib/codec.ts'

const HEX_DIGITS = 8

/** Of a value under its key: 8 hexadecimal digits. */
export function checksumOf(storedAs: string, key: string, text: string, bytes?: Buffer): string {
  const ofText = crc32(`${storedAs} ${key}\n${text}`)
  return hexOf(bytes ? crc32(bytes, ofText) : ofText)
}

const hexOf = (checksum: number) => checksum.toString(16).padStart(HEX_DIGITS, '0')

// A text on disk: the checksum follows in white space, which JSON and numbers do not mind.
const BLANKS = ' \t\n\r'
const MARKS = 16 // two bits each

/** `of`: what is stored beside the text, and belongs to it. The text must not end with white space. */
export function sealText(of: string, text: string): string {
  const checksum = crc32(`${of}\n${text}`)
  let marks = ''
  for (let bit = 0; bit < 2 * MARKS; bit += 2) marks += BLANKS[(checksum >>> bit) & 3]
  return text + marks
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
