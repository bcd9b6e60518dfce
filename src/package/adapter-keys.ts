// The words of the adapters' keys in the state role: every Samovar that is opened as a package knows them.
import { defineKeys } from '../core/keys.ts'

export const adapterKeys = defineKeys({
  /** A session of express-session, by the hash of its id. */
  'express-session': 'lww-register',
  /** When the hits of a client of express-rate-limit were last taken back: a new log begins. */
  'rate-reset': 'max-register',
  /** A socket of socket.io that may come back, by the hash of its private id. */
  'socket-io': 'lww-register',
})
