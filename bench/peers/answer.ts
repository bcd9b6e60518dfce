// What a peer sends: the bytes of a file with an entity tag, or 304 to who has them. Made once, as a cache would.
import { readFileSync } from 'node:fs'

const { BODY_FILE = '', ETAG = '', ENCODING = '' } = process.env

export const path = process.env.ROUTE ?? '/'
export const port = Number(process.env.PORT)
export const host = '127.0.0.1'
export const etag = ETAG
export const body = BODY_FILE === '' ? Buffer.alloc(0) : readFileSync(BODY_FILE)
export const headers: Readonly<Record<string, string>> = {
  'Content-Type': 'application/json; charset=utf-8',
  'Content-Length': String(body.byteLength),
  ...(ETAG && { ETag: ETAG }),
  ...(ENCODING && { 'Content-Encoding': ENCODING }),
}

export const isKnown = (noneMatch: string | undefined) => ETAG !== '' && noneMatch === ETAG

export function ready(): void {
  process.on('disconnect', () => process.exit())
  process.send?.('ready')
}
