// The rule of generations, as a pure function. The script RAISE does the same in Redis.
import type { Generations } from '../state-store.ts'

const MAX_FIELDS = 1_000

/**
 * Gives the fields the next number above all, and above `floor`. Past 1,000 fields the oldest is folded into `all`:
 * that clears more than was asked, never less.
 */
export function raised(before: Generations, fields: readonly string[], floor: number) {
  const generations = new Map(before)
  const top = Math.max(floor, generations.get('top') ?? 0) + 1
  for (const field of [...fields, 'top']) generations.set(field, top)
  while (generations.size > MAX_FIELDS) {
    const [oldest, number] = [...generations]
      .filter(([field]) => field !== 'all' && field !== 'top')
      .reduce((lowest, entry) => (entry[1] < lowest[1] ? entry : lowest))
    generations.delete(oldest)
    generations.set('all', Math.max(number, generations.get('all') ?? 0))
  }
  return { generations, top }
}
