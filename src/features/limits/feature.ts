// Limits on requests, for all features: by client, and by how often.
import { defineFeature } from '../../feature.ts'
import { createLimits } from './limit-requests.ts'
import { createSharedAddresses } from './shared-address.ts'

export const limits = defineFeature({
  name: 'limits',
  about: { en: 'limits on changes and logins', ru: 'лимиты на изменения и входы' },
  setup: ({ limiter, identify, admin, log }) => ({
    limits: createLimits({
      limiter,
      sharedAddresses: createSharedAddresses({ log }),
      async identify(req) {
        const { user, session } = await identify(req)
        return { ...(user && { user: user.id }), ...(session !== undefined && { session }) }
      },
      isAdmin: admin.is,
    }),
  }),
})
