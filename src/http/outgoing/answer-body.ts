// The body of somebody else's answer as text: inflated where it is compressed, and never more than a limit of it, which
// holds for the inflated bytes. A small answer that inflates without end is cut off like a large one.
import { pipeline, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip } from 'node:zlib'

/** What `readBody` understands, for the header Accept-Encoding. */
export const ACCEPTED_ENCODINGS = 'gzip, br'

const INFLATERS = new Map([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['br', createBrotliDecompress],
])

export interface Answer {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

/** What was sent is no body of its Content-Encoding, or one that was not asked for. */
export class BadEncoding extends Error {}

export interface Arrived {
  /** Bytes of the body as they came, so far. */
  bytes: number
}

/** Undefined when there is more than `mostBytes` of it: then its connection is closed. Rejects with BadEncoding. */
export async function readBody(
  { headers, body }: Answer,
  mostBytes: number,
  arrived: Arrived = { bytes: 0 },
): Promise<string | undefined> {
  const count = ({ byteLength }: Buffer) => {
    arrived.bytes += byteLength
    return arrived.bytes <= mostBytes
  }
  const inflater = inflaterFor(String(headers['content-encoding'] ?? ''))
  if (inflater === 'unknown' || Number(headers['content-length'] ?? 0) > mostBytes) {
    drop(body)
    if (inflater === 'unknown') throw new BadEncoding(`Content-Encoding: ${headers['content-encoding']}`)
    return undefined
  }
  if (!inflater) return collect(body, mostBytes, count)
  let isTooLarge = false
  body.on('data', (part: Buffer) => {
    isTooLarge ||= !count(part)
    if (isTooLarge) drop(body) // it may inflate to nothing for ever
  })
  pipeline(body, inflater, () => {}) // ends both with either; the reader hears of it
  try {
    return await collect(inflater, mostBytes)
  } catch (error) {
    if (isTooLarge) return undefined
    if (/^(Z_|ERR_(_ERROR|BROTLI|_BROTLI))/.test(String((error as { code?: unknown }).code)))
      throw new BadEncoding('the body is damaged', { cause: error })
    throw error
  }
}

function inflaterFor(encoding: string) {
  const name = encoding.trim().toLowerCase()
  if (name === '' || name === 'identity') return undefined
  return INFLATERS.get(name)?.() ?? 'unknown'
}

async function collect(
  from: Readable,
  mostBytes: number,
  count: (part: Buffer) => unknown = () => {},
): Promise<string | undefined> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of from as AsyncIterable<Buffer>) {
    size += part.byteLength
    count(part)
    if (size > mostBytes) {
      drop(from)
      return undefined
    }
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

function drop(body: Readable): void {
  body.on('error', () => {}) // of being cut off, which is what we want
  body.destroy()
}
