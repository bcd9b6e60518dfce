// Bodies as they are sent compressed (RFC 9110, 8.4), made once and kept by their entity tag. Only for what is the same
// for everybody: beside a secret, the length of a compressed body would tell what it has in common with what a stranger
// can put there (BREACH).
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import Negotiator from 'negotiator'
import { createBoundedMemory } from '../core/bounded-memory.ts'

const WORTH_BYTES = 1_024
const LARGE_BYTES = 256 * 1_024
const KEPT_BYTES = 2 * 1_024 * 1_024
const KEPT_MS = 60 * 60 * 1_000
const MOST_UNDER_WAY = 4
const MOST_CHOICES = 200 // of spellings of Accept-Encoding: there are a dozen in use
const LONGEST_CHOICE = 100

export type Encoding = 'br' | 'gzip'

/** A body as it is sent. */
export interface Encoded {
  readonly body: Buffer
  readonly etag: string
  readonly encoding: Encoding | undefined
}

export interface Plain {
  readonly body: Buffer
  /** A strong one. */
  readonly etag: string
  /** Another takes its place within minutes, or few ask for it: it is compressed quickly. */
  readonly isBrief?: true
}

export interface Encodings {
  /** As the client takes it best, if that has been made already; else it is made, and undefined. */
  find(plain: Plain, acceptEncoding: string | undefined): Encoded | undefined
  /** The same, made if need be; as it is where too many are being made. */
  make(plain: Plain, acceptEncoding: string | undefined): Promise<Encoded>
}

/** Which of several that a client takes equally is up to us: an option that the types do not know yet. */
interface Preferring {
  encodings(offered: readonly string[], options: { preferred: readonly string[] }): string[]
}

const compressed = {
  // Quality 9 costs thirty times as much as 5 and saves 6 % of JSON: worth it once for a value that many read for long.
  br: ({ body, isBrief }: Plain) =>
    promisify(brotliCompress)(body, {
      params: {
        [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
        [constants.BROTLI_PARAM_QUALITY]: isBrief || body.byteLength > LARGE_BYTES ? 5 : 9,
        [constants.BROTLI_PARAM_SIZE_HINT]: body.byteLength,
      },
    }),
  gzip: ({ body }: Plain) => promisify(gzip)(body),
}

export function createEncodings(): Encodings {
  const kept = createBoundedMemory<Encoded>({
    budgetBytes: KEPT_BYTES,
    whenFull: 'evict',
    sizeOf: ({ body }) => body.byteLength,
    now: Date.now,
  })
  const underWay = new Map<string, Promise<Encoded>>()
  const choices = new Map<string, Encoding | undefined>()

  function choose(header: string): Encoding | undefined {
    if (choices.has(header)) return choices.get(header)
    const offered = ['br', 'gzip', 'identity']
    const negotiator: Preferring = new Negotiator({ headers: { 'accept-encoding': header } })
    const [best] = negotiator.encodings(offered, { preferred: offered })
    const choice = best === 'br' || best === 'gzip' ? best : undefined
    if (header.length > LONGEST_CHOICE) return choice
    if (choices.size >= MOST_CHOICES) choices.clear()
    choices.set(header, choice)
    return choice
  }

  function encodingFor({ body }: Plain, header: string | undefined): Encoding | undefined {
    return header === undefined || body.byteLength < WORTH_BYTES ? undefined : choose(header)
  }

  async function encode(plain: Plain, encoding: Encoding, name: string): Promise<Encoded> {
    const smaller = await compressed[encoding](plain)
    const encoded = { body: smaller, etag: `${plain.etag.slice(0, -1)}-${encoding}"`, encoding }
    kept.set(name, encoded, Date.now() + KEPT_MS)
    return encoded
  }

  function begin(plain: Plain, encoding: Encoding): Promise<Encoded> {
    const name = `${encoding}${plain.etag}`
    const before = underWay.get(name)
    if (before) return before
    if (underWay.size >= MOST_UNDER_WAY) return Promise.resolve({ ...plain, encoding: undefined })
    const making = encode(plain, encoding, name).finally(() => underWay.delete(name))
    underWay.set(name, making)
    return making
  }

  function find(plain: Plain, header: string | undefined): Encoded | undefined {
    const encoding = encodingFor(plain, header)
    return encoding ? kept.get(`${encoding}${plain.etag}`) : { ...plain, encoding }
  }

  return {
    find,
    async make(plain, header) {
      const encoding = encodingFor(plain, header)
      return find(plain, header) ?? begin(plain, encoding ?? 'gzip')
    },
  }
}
