// Generation counters in memory, for caches that are tested alone.
import {
  createGenerationCounters,
  type GenerationCounters,
} from '../../src/core/cache/generation-counters.ts'
import { bumped, NO_FIELDS } from '../../src/core/state/kinds/max-register-map.ts'
import type { StateCounters } from '../../src/core/state/state-counters.ts'
import { recordLog } from './log.ts'

export function createMemoryCounters(): GenerationCounters {
  let map = NO_FIELDS
  let changed: (fields: typeof map.fields) => void = () => {}
  const counters = {
    known: () => map.fields,
    onChange: (listener: typeof changed) => {
      changed = listener
    },
    async bump(fields: readonly string[], floor: number) {
      const { entry, top } = bumped(map, fields, floor)
      map = entry.value
      changed(map.fields)
      return top
    },
    isRedis: () => false,
    isTracked: () => true,
    isPending: () => false,
  } as unknown as StateCounters
  return createGenerationCounters({ counters, log: recordLog().log })
}
