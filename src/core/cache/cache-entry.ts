// How a cached value is stored: one line of JSON that says what it is, then the bytes of its JSON as they are sent.
import { corrupt, parseJson } from '../../lib/codec.ts'

const FORMAT = 1
const NEWLINE = 0x0a

export interface EntryHead {
  /** The last clear that was known when the load began: a later one makes the entry dead. */
  readonly generation: number
  readonly storedAtMs: number
  readonly freshUntilMs: number
  readonly staleUntilMs: number
  /** Strong ETag of the body, with its quotes (RFC 9110). */
  readonly etag: string
  readonly tags: readonly string[]
  /** True when the source said that there is nothing by that name; the body is empty then. */
  readonly absent: boolean
}

export interface Entry extends EntryHead {
  readonly body: Buffer
}

export function encodeEntry(head: EntryHead, body: Buffer): Buffer {
  const line = JSON.stringify({ samovar: FORMAT, ...head })
  return Buffer.concat([Buffer.from(`${line}\n`), body])
}

/** The entry in these bytes, or undefined when they are not one: a corrupt value is a miss. */
export function decodeEntry(bytes: Buffer): Entry | undefined {
  const head = decodeHead(bytes)
  return head && { ...head, body: bytes.subarray(bytes.indexOf(NEWLINE) + 1) }
}

/** The first line alone; enough of the value for it must be there. */
export function decodeHead(bytes: Buffer): EntryHead | undefined {
  const end = bytes.indexOf(NEWLINE)
  if (end < 0) return undefined
  const head = parseJson(bytes.toString('utf8', 0, end), isHead)
  return head === corrupt ? undefined : head
}

function isHead(line: unknown): line is EntryHead {
  if (typeof line !== 'object' || line === null) return false
  const head = line as Record<string, unknown>
  return (
    head.samovar === FORMAT &&
    ['generation', 'storedAtMs', 'freshUntilMs', 'staleUntilMs'].every((name) =>
      Number.isFinite(head[name]),
    ) &&
    typeof head.etag === 'string' &&
    typeof head.absent === 'boolean' &&
    Array.isArray(head.tags) &&
    head.tags.every((tag) => typeof tag === 'string')
  )
}
