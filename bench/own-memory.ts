// For a benchmark's server: tells its memory when it is asked, after a collection of garbage.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface OwnMemory {
  readonly residentBytes: number
  readonly heapBytes: number
}

export function answerMemory(): void {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  process.on('message', () => {
    collectGarbage()
    const { rss, heapUsed, external } = process.memoryUsage()
    const answer: OwnMemory = { residentBytes: rss, heapBytes: heapUsed + external }
    process.send?.(answer)
  })
  process.on('disconnect', () => process.exit())
}
