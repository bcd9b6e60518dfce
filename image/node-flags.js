// The flags of V8 with which the app runs: in the image (ecosystem.config.js) and in benchmarks (bench/processes.ts),
// which would otherwise describe something that is not shipped.
import { fileURLToPath } from 'node:url'

/** `heapMb`: what the old generation of one process may take. */
export const appFlags = (heapMb) => [
  `--max-old-space-size=${heapMb}`,
  // MB; of the default of 16 an idle app has no use, and keeps it. With 1 a busy app spends its time collecting, which
  // it has to where a small container gives it a heap of 55 MB: there are three of these beside the old generation.
  `--max-semi-space-size=${Math.max(1, Math.min(4, Math.floor(heapMb / 40)))}`,
  `--require=${fileURLToPath(new URL('small-heap.cjs', import.meta.url))}`,
]
