// What is in the write-ahead log (-wal) of a SQLite database, read as bytes. SQLite itself reads it up to the first
// frame that is not sound and drops the rest without a word: here it is noticed, and the frames behind are found.
// https://sqlite.org/fileformat2.html#the_write_ahead_log
import { readFileSync } from 'node:fs'

export interface Frame {
  readonly page: number
  readonly bytes: Buffer
  /** Whether its checksum says so. */
  readonly isSound: boolean
}

export interface WriteAheadLog {
  readonly pageSize: number | undefined
  /** Those that were committed, in their order. */
  readonly frames: readonly Frame[]
  /** How many pages the database has after the last of them; undefined: none was committed. */
  readonly pageCount: number | undefined
  /** Something that belongs to it cannot be read by SQLite. */
  readonly isDamaged: boolean
}

const HEADER = 32
const FRAME_HEADER = 24
const MAGIC = 0x377f0682 // the last bit: the order of bytes in checksums
const NOTHING: WriteAheadLog = { pageSize: undefined, frames: [], pageCount: undefined, isDamaged: false }

/** Of the file with this name, which need not be there. */
export function readWriteAheadLog(path: string): WriteAheadLog {
  const bytes = readIfThere(path)
  if (bytes.length === 0) return NOTHING // SQLite leaves an empty one as well
  if (bytes.length < HEADER) return { ...NOTHING, isDamaged: true }
  return framesOf(bytes)
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return Buffer.alloc(0)
  }
}

function framesOf(bytes: Buffer): WriteAheadLog {
  const isBigEndian = bytes.readUInt32BE(0) === MAGIC + 1
  const sum = createSum(isBigEndian)
  const start = bytes.subarray(24, HEADER)
  const isHeaderSound =
    (bytes.readUInt32BE(0) & ~1) >>> 0 === MAGIC &&
    sum(Buffer.alloc(8), [bytes.subarray(0, 24)]).equals(start)
  const written = bytes.readUInt32BE(8)
  const pageSize = isPageSize(written) ? written : 4096
  const size = FRAME_HEADER + pageSize
  const all = Array.from({ length: Math.floor((bytes.length - HEADER) / size) }, (_, i) =>
    bytes.subarray(HEADER + i * size, HEADER + (i + 1) * size),
  )
  const saltsOf = (frame: Buffer) => frame.subarray(8, 16)
  const salts = isHeaderSound || !all[0] ? bytes.subarray(16, 24) : saltsOf(all[0])
  // Behind the last frame may be older ones, of a time before the log began again: both of their salts are others.
  const isOurs = (frame: Buffer) =>
    frame.subarray(8, 12).equals(salts.subarray(0, 4)) || frame.subarray(12, 16).equals(salts.subarray(4))
  const ours = all.slice(0, all.findLastIndex(isOurs) + 1)
  const isSound = ours.map((frame, i) => {
    const before = i === 0 ? start : (ours[i - 1] as Buffer).subarray(16, 24)
    return (
      saltsOf(frame).equals(salts) &&
      sum(before, [frame.subarray(0, 8), frame.subarray(24)]).equals(frame.subarray(16, 24))
    )
  })
  const committed = ours.findLastIndex((frame) => frame.readUInt32BE(4) > 0)
  return {
    pageSize,
    frames: ours.slice(0, committed + 1).map((frame, i) => ({
      page: frame.readUInt32BE(0),
      bytes: frame.subarray(FRAME_HEADER),
      isSound: isSound[i] ?? false,
    })),
    pageCount: ours[committed]?.readUInt32BE(4),
    isDamaged: !isHeaderSound || isSound.includes(false) || (bytes.length - HEADER) % size !== 0,
  }
}

export const isPageSize = (size: number) => size >= 512 && size <= 65536 && (size & (size - 1)) === 0

/** The checksum of SQLite's log over these bytes, going on from the one before. */
const createSum = (isBigEndian: boolean) => (before: Buffer, parts: readonly Buffer[]) => {
  let [a, b] = [before.readUInt32BE(0), before.readUInt32BE(4)]
  for (const part of parts) {
    const view = new DataView(part.buffer, part.byteOffset, part.length)
    for (let at = 0; at < part.length; at += 8) {
      a = (a + view.getUint32(at, !isBigEndian) + b) >>> 0
      b = (b + view.getUint32(at + 4, !isBigEndian) + a) >>> 0
    }
  }
  const sum = Buffer.alloc(8)
  sum.writeUInt32BE(a, 0)
  sum.writeUInt32BE(b, 4)
  return sum
}
