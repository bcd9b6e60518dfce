// Links that let a guest without a login into one room, until they are too old.
import { HOUR } from '../../../lib/time.ts'
import { isRoomName } from '../room-name.ts'
import { readSigned, signText } from './signed-text.ts'

export const GUEST_LINK_MS = 24 * HOUR
const PURPOSE = 'call guest'

/** The key of a room, for `?key=`. */
export function guestKey(room: string, nowMs: number, secrets: readonly string[]): string {
  return signText(PURPOSE, `${room} ${nowMs + GUEST_LINK_MS}`, secrets)
}

/** The one room that the key opens; undefined when it is forged or too old. */
export function roomOfKey(key: string, nowMs: number, secrets: readonly string[]): string | undefined {
  const [room = '', endsAtMs] = readSigned(PURPOSE, key, secrets)?.split(' ') ?? []
  return isRoomName(room) && nowMs < Number(endsAtMs) ? room : undefined
}
