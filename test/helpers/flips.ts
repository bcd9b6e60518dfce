// Single bytes of files, changed where values are stored: in commands of an append-only file, and in rows of a
// database.
import { readFileSync, writeFileSync } from 'node:fs'
import type { Random } from './random.ts'

/** Where an argument of a command is in the file. */
export interface Argument {
  readonly at: number
  readonly text: string
}

/** The commands of an append-only file without a binary preamble. */
export function* commandsOf(file: Buffer): Generator<Argument[]> {
  let at = 0
  const line = () => {
    const end = file.indexOf('\r\n', at)
    const text = file.toString('latin1', at, end)
    at = end + 2
    return text
  }
  while (at < file.length) {
    const first = line()
    if (first.startsWith('#')) continue
    const found: Argument[] = []
    for (let left = Number(first.slice(1)); left > 0; left -= 1) {
      const length = Number(line().slice(1))
      found.push({ at, text: file.toString('latin1', at, at + length) })
      at += length + 2
    }
    yield found
  }
}

/** Another byte in the place of one of those from `at` on. */
export function flipOne(file: Buffer, { at, length }: { at: number; length: number }, random: Random): void {
  const place = at + random.below(length)
  const was = file[place] as number
  file[place] = (was + 1 + random.below(255)) & 0xff
}

/** Rewrites a file. */
export function changeFile(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
}
