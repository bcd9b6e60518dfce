// The keys of markets in the state role.
import { defineKeys } from '../../core/keys.ts'

export const marketKeys = defineKeys({
  /** How often a server of others may be asked, as it has taught us. */
  upstream: 'lww-register',
})
