// Telegram's keys, as the last login that needed them has read them. A token that is signed with another key makes one
// login read them again, and all logins of that moment use what it has found: so a new key is believed immediately, and
// many tokens with keys that nobody has are no flood for Telegram.
import { SECOND } from '../../../lib/time.ts'

const READ_AGAIN_MS = 5 * SECOND

export interface OidcKeys<K> {
  current(): K | undefined
  /** What a login has found. */
  keep(found: K | undefined): void
  /** A login with keys that are read now, or by another login right now; undefined when that was just done. */
  again<T>(login: (keys: K | undefined) => Promise<T>): Promise<T> | undefined
}

export function createOidcKeys<K>(steadyNow = () => performance.now()): OidcKeys<K> {
  let keys: K | undefined
  let reading: Promise<unknown> | undefined
  let readAtMs = Number.NEGATIVE_INFINITY

  return {
    current: () => keys,
    keep(found) {
      keys = found ?? keys
    },
    again(login) {
      if (reading) return reading.then(() => login(keys))
      if (steadyNow() - readAtMs < READ_AGAIN_MS) return undefined
      readAtMs = steadyNow()
      const run = login(undefined)
      reading = run
        .catch(() => {})
        .finally(() => {
          reading = undefined
        })
      return run
    },
  }
}
