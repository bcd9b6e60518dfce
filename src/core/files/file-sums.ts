// How large a file is, and checksums: of its bytes, and of a text.
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { crc32 } from 'node:zlib'

const CHUNK = 1024 * 1024

/** 0 where it is not there. */
export const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0

export const sumOf = (text: string) => crc32(text).toString(16)

export function sumOfFile(path: string): string {
  const file = openSync(path, 'r')
  try {
    const chunk = Buffer.alloc(CHUNK)
    let sum = 0
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk))
      sum = crc32(chunk.subarray(0, read), sum)
    return sum.toString(16)
  } finally {
    closeSync(file)
  }
}
