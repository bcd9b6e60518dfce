// Medians, and ratios with their spread: what is compared ran side by side, round by round.

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which that share of the values lies, between two of them if need be. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

/** Round by round, ours over theirs: the median ratio, then the smallest and the largest. */
export function formatRatio(ours: readonly number[], theirs: readonly number[]): string {
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
  const [middle, least, most] = [median(ratios), Math.min(...ratios), Math.max(...ratios)]
  return `${middle.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`
}

/** The same with the middle half of the ratios: for many short rounds, of which some are disturbed. */
export function formatMiddle(ours: readonly number[], theirs: readonly number[]): string {
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(3))
  return `${middle} (${low}–${high})`
}

/** Calls per second of so many callers, each of whom calls again when the last call has been answered. */
export async function callsPerSecond(
  callers: number,
  calls: number,
  call: (index: number) => unknown,
): Promise<number> {
  let next = 0
  const startedAt = performance.now()
  const caller = async () => {
    while (next < calls) {
      next += 1
      await call(next - 1)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return (calls / (performance.now() - startedAt)) * 1_000
}
