// Is the process alive, is it ready, and which release is it.
import { readFileSync } from 'node:fs'
import { defineFeature } from '../../feature.ts'
import { corrupt, isShape, isText, parseJson } from '../../lib/codec.ts'
import { type HealthParts, healthProbes } from './health-probes.ts'

export const health = defineFeature({
  name: 'health',
  about: {
    en: 'whether the process lives and is ready, and its release: `/livez`, `/readyz`, `/version`',
    ru: 'жив ли процесс, готов ли и какой это выпуск: `/livez`, `/readyz`, `/version`',
  },
  setup: ({ status }, parts: Omit<HealthParts, 'status' | 'version'>) => ({
    probes: healthProbes({ ...parts, status, version: readVersion() }),
  }),
})

/** Of package.json, which the image has, too. */
function readVersion(): string {
  const file = readFileSync(new URL('../../../package.json', import.meta.url))
  const manifest = parseJson(file, isShape({ version: isText }))
  return manifest === corrupt ? 'unknown' : manifest.version
}
