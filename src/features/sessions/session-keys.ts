// The keys of sessions in the state role.
import { defineKeys } from '../../core/keys.ts'

export const sessionKeys = defineKeys({
  /** A signed-in visitor, by a hash of the session's id. */
  session: 'lww-register',
  /** The sessions of a user, by their hashes. */
  sessions: 'expiring-set',
  /** Sessions of a user from before that moment are no more, */
  revoked: 'max-register',
  /** but for this one, by its hash: the one that logged the others out last. */
  kept: 'lww-register',
  /** A signed login that has been used, by its hash. */
  login: 'first-write-wins-register',
})
