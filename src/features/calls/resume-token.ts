// What lets a peer be the same one again after its socket was lost: signed, and good for one room.
import { SECOND } from '../../lib/time.ts'
import { readSigned, signText } from './signed-text.ts'

/** How long a peer whose socket is gone is waited for. */
export const RESUME_MS = 30 * SECOND
/** Clients ask for a fresh token, with `ping`, at least this often; so the last one outlives its socket by RESUME_MS. */
export const PING_MS = 15 * SECOND
const PURPOSE = 'call resume'

export interface Resumable {
  readonly room: string
  readonly peer: string
}

export function resumeToken({ room, peer }: Resumable, nowMs: number, secrets: readonly string[]): string {
  return signText(PURPOSE, `${room} ${peer} ${nowMs + PING_MS + RESUME_MS}`, secrets)
}

/** The peer that the token names in this room; undefined when it is forged, too old, or of another room. */
export function peerOfToken(
  token: string,
  room: string,
  nowMs: number,
  secrets: readonly string[],
): string | undefined {
  const [named, peer, endsAtMs] = readSigned(PURPOSE, token, secrets)?.split(' ') ?? []
  return named === room && nowMs < Number(endsAtMs) ? peer : undefined
}
