// What happened while Redis was away.
import { defineFeature } from '../../feature.ts'
import { type Outage, outagesRoutes } from './outages-routes.ts'

export const outages = defineFeature({
  name: 'outages',
  about: { en: 'reports of outages, `/api/outages`', ru: 'отчёты о простоях, `/api/outages`' },
  setup: ({ admin }, parts: { outages: () => readonly Outage[] }) => ({
    routes: outagesRoutes({ ...parts, guard: admin.isSet ? admin.onlyIfSet : undefined }),
  }),
})
