// What lets a peer be the same one again after its socket was lost: signed, and good for one room. The token of a
// logged-in user is of no use without a login.
import { SECOND } from '../../../lib/time.ts'
import { readSigned, signText } from './signed-text.ts'

/** How long a peer whose socket is gone is waited for. */
export const RESUME_MS = 30 * SECOND
/** Clients ask for a fresh token (`ping`) at least this often; so the last one outlives its socket by RESUME_MS. */
export const PING_MS = 15 * SECOND
const PURPOSE = 'call resume'

/** Where a token holds, and whether it is of, or given by, a guest. */
export interface Holder {
  readonly room: string
  readonly isGuest: boolean
}

export function resumeToken(
  { room, isGuest, peer }: Holder & { readonly peer: string },
  nowMs: number,
  secrets: readonly string[],
): string {
  const endsAtMs = nowMs + PING_MS + RESUME_MS
  return signText(PURPOSE, `${room} ${peer} ${endsAtMs} ${isGuest ? 'guest' : 'user'}`, secrets)
}

/** The peer that the token names; undefined when it is forged, too old, of another room, or a guest gives a user's. */
export function peerOfToken(
  token: string,
  { room, isGuest }: Holder,
  nowMs: number,
  secrets: readonly string[],
): string | undefined {
  const [named, peer, endsAtMs, of] = readSigned(PURPOSE, token, secrets)?.split(' ') ?? []
  const isTheirs = named === room && (of === 'guest' || !isGuest)
  return isTheirs && nowMs < Number(endsAtMs) ? peer : undefined
}
