// Is the process alive, is it ready.
import { defineFeature } from '../../feature.ts'
import { type HealthParts, healthProbes } from './health-probes.ts'

export const health = defineFeature({
  name: 'health',
  about: {
    en: 'whether the process lives and is ready: `/livez`, `/readyz`',
    ru: 'жив ли процесс и готов ли: `/livez`, `/readyz`',
  },
  setup: ({ status }, parts: Omit<HealthParts, 'status'>) => ({ probes: healthProbes({ ...parts, status }) }),
})
