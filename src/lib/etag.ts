// Entity tags (RFC 9110, 8.8.3).
import { createHash } from 'node:crypto'

/** A strong ETag of these bytes, with its quotes. */
export function etagOf(body: Buffer): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
}
