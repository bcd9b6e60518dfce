// What an adapter makes of an outage: nothing that its library has to know of.
import { RedisUnavailable, Refusal } from '../core/errors.ts'

const AWAY = ['state_unknown', 'state_full', 'handing_over']

/** Whether nobody can answer that now, or take it; anything else is a bug. */
export const isAway = (error: unknown): boolean =>
  error instanceof RedisUnavailable || (error instanceof Refusal && AWAY.includes(error.code))

/** What the work brings, or `instead` while nobody can say. */
export async function orWhenAway<T, E>(work: Promise<T>, instead: E): Promise<T | E> {
  try {
    return await work
  } catch (error) {
    if (!isAway(error)) throw error
    return instead
  }
}
