// What could not be decoded, or is of another type than ours: counted, and logged once a key. It counts as absent
// on the side where it is.
import type { Log } from '../log.ts'

const MOST_NAMED = 100

/**
 * `foreign`: Redis has a value of another type there. `Redis`, `disk`: the bytes there are none of ours, or not what
 * was written. `twin`: two sides have values of one time and writer, and not the same.
 */
export type DamagedSide = 'foreign' | 'Redis' | 'disk' | 'twin'

const SENTENCES: Record<DamagedSide, string> = {
  foreign:
    'Redis has a value of another type under a key of the state: not ours, and replaced by the next write',
  Redis:
    'a value in Redis is corrupt: it counts as absent, and is replaced by what memory has, or by the next write',
  twin:
    'two values of one time differ: one of them was damaged before it had a checksum, and the same one is kept ' +
    'everywhere',
  disk: 'a row of samovar.db is corrupt: it counts as absent, and the version in Redis is used',
}

export interface DamageLog {
  note(side: DamagedSide, key: string): void
  /** How often one was met since the start of the process. */
  count(): number
}

export function createDamageLog(log: Log): DamageLog {
  const named = new Set<string>()
  let count = 0
  let isCutOff = false
  return {
    note(side, key) {
      count += 1
      const name = `${side} ${key}`
      if (named.has(name)) return
      if (named.size < MOST_NAMED) {
        named.add(name)
        log.error({ key }, SENTENCES[side])
      } else if (!isCutOff) {
        isCutOff = true
        log.error(
          { named: MOST_NAMED },
          'more keys are damaged than are named in this log: the others are only counted',
        )
      }
    },
    count: () => count,
  }
}
