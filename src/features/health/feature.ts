// Is the process alive, is it ready.
import { defineFeature } from '../../feature.ts'
import { healthRoutes, type Phase } from './health-routes.ts'

export const health = defineFeature({
  name: 'health',
  setup: ({ status }, { phase }: { phase: () => Phase }) => ({ routes: healthRoutes({ phase, status }) }),
})
