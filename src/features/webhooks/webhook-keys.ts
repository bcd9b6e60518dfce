// The keys of webhooks in the state role.
import { defineKeys } from '../../core/keys.ts'

export const webhookKeys = defineKeys({
  /** A delivery that has been done, and its answer: by source and id. */
  webhook: 'first-write-wins-register',
})
