// Memory and descriptors of one long life of the app's process: whether they grow, by linear regression.
import { groupBy } from './groups.ts'
import type { Wrong } from './ledger.ts'

export interface Sample {
  readonly atMs: number
  readonly pid: number
  readonly rssKib: number
  readonly descriptors: number
}

export interface Slope {
  /** By how much it grows in an hour, and the standard error of that. */
  readonly perHour: number
  readonly error: number
}

export interface Growth {
  readonly lifeMs: number
  /** Without its first third, in which caches fill. */
  readonly judgedMs: number
  readonly rssMib: Slope
  readonly descriptors: Slope
}

const HOUR = 3_600_000
/** The floor of each bucket is what counts: garbage that is not collected yet is no growth. */
const BUCKET_MS = 30_000
const LEAST_JUDGED_MS = 6 * 60_000
const MOST_MIB_AN_HOUR = 48
const MOST_DESCRIPTORS_AN_HOUR = 40
const ERRORS = 3

/** Of the longest life among the samples; undefined when it is too short to say anything. */
export function growthOf(samples: readonly Sample[]): Growth | undefined {
  const lives = groupBy(samples, ({ pid }) => pid)
  const [life = []] = [...lives.values()].sort((a, b) => lengthOf(b) - lengthOf(a))
  const lifeMs = lengthOf(life)
  const fromMs = (life[0]?.atMs ?? 0) + lifeMs / 3
  const judged = life.filter(({ atMs }) => atMs >= fromMs)
  const judgedMs = lengthOf(judged)
  if (judgedMs < LEAST_JUDGED_MS) return undefined
  return {
    lifeMs,
    judgedMs,
    rssMib: slopeOf(judged, ({ rssKib }) => rssKib / 1_024),
    descriptors: slopeOf(judged, ({ descriptors }) => descriptors),
  }
}

export function judgeGrowth({ rssMib, descriptors }: Growth): Wrong[] {
  const grows = ({ perHour, error }: Slope, most: number) => perHour - ERRORS * error > most
  const words = ({ perHour }: Slope, unit: string, most: number) =>
    `by ${perHour.toFixed(1)} ${unit} an hour, with a bound of ${most}`
  return [
    ...(grows(rssMib, MOST_MIB_AN_HOUR)
      ? [{ kind: 'memory grows' as const, words: words(rssMib, 'MiB', MOST_MIB_AN_HOUR) }]
      : []),
    ...(grows(descriptors, MOST_DESCRIPTORS_AN_HOUR)
      ? [{ kind: 'descriptors grow' as const, words: words(descriptors, 'files', MOST_DESCRIPTORS_AN_HOUR) }]
      : []),
  ]
}

const lengthOf = (life: readonly Sample[]) => (life.at(-1)?.atMs ?? 0) - (life[0]?.atMs ?? 0)

function slopeOf(samples: readonly Sample[], read: (sample: Sample) => number): Slope {
  const buckets = groupBy(samples, ({ atMs }) => Math.floor(atMs / BUCKET_MS))
  const points = [...buckets].map(
    ([bucket, inside]) => [(bucket * BUCKET_MS) / HOUR, Math.min(...inside.map(read))] as const,
  )
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  const perHour = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread
  const left = points.reduce((sum, [x, y]) => sum + (y - meanY - perHour * (x - meanX)) ** 2, 0)
  return { perHour, error: Math.sqrt(left / (points.length - 2) / spread) }
}
