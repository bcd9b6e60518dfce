// What happened while Redis was away.
import type { OutageReport } from '../../core/outages.ts'
import { defineFeature } from '../../feature.ts'
import { outagesRoutes } from './outages-routes.ts'

export const outages = defineFeature({
  name: 'outages',
  about: { en: 'reports of outages, `/api/outages`', ru: 'отчёты о простоях, `/api/outages`' },
  setup: ({ admin }, parts: { outages: () => readonly OutageReport[] }) => ({
    routes: outagesRoutes({ ...parts, isAdmin: admin.is, guard: admin.onlyIfSet }),
  }),
})
