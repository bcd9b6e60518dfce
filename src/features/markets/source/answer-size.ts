// How much is asked for at a time. A list with charts is a megabyte, and a link may be too slow for it: then the same
// coins are asked for without charts, and then their prices alone.
//
//   charts ──too large, too late, cut off, 5xx──► rows ──the same──► prices
//     ▲                                             │                  │
//     └──after ten minutes; or immediately, when less fails in the same way without a byte: it is not the size

import type { FetchFailed } from '../../../http/fetch-json.ts'
import { MINUTE, type Now } from '../../../lib/time.ts'

/** The largest first. */
const sizes = ['charts', 'rows', 'prices'] as const
export type AnswerSize = (typeof sizes)[number]

const SMALLER_FOR_MS = 10 * MINUTE

export interface SizeWanted {
  readonly most: AnswerSize
  readonly least: AnswerSize
}

export interface AnswerSizes {
  /** What to ask for. */
  fitting(wanted: SizeWanted): AnswerSize
  /** What to ask for immediately instead; undefined when it would not help, or is for the next call. */
  failed(asked: AnswerSize, least: AnswerSize, error: FetchFailed): AnswerSize | undefined
}

export interface AnswerSizesParts {
  now: Now
  onSmaller: (size: AnswerSize) => void
}

export function createAnswerSizes({ now, onSmaller }: AnswerSizesParts): AnswerSizes {
  let limit: { place: number; untilMs: number } | undefined

  return {
    fitting({ most, least }) {
      if (limit && now() >= limit.untilMs) limit = undefined
      const place = Math.max(sizes.indexOf(most), limit?.place ?? 0)
      return sizes[Math.min(place, sizes.indexOf(least))] ?? most
    },
    failed(asked, least, error) {
      if (!isTooMuch(error)) return undefined
      const place = sizes.indexOf(asked) + 1
      const isLess = limit !== undefined && sizes.indexOf(asked) >= limit.place
      if (isLess && !isLink(error)) {
        limit = undefined
        return undefined
      }
      const smaller = sizes[place]
      if (smaller === undefined || place > sizes.indexOf(least)) return undefined
      limit = { place, untilMs: now() + SMALLER_FOR_MS }
      if (!error.hasBegun) return undefined
      onSmaller(smaller)
      return smaller
    },
  }
}

/** It was coming, and did not arrive as a whole. */
export const isLink = ({ hasBegun, reason }: FetchFailed) =>
  hasBegun && (reason === 'timeout' || reason === 'too_large' || reason === 'refused')

/** Whether less of it might have come. */
function isTooMuch({ reason, status = 0, hasBegun }: FetchFailed): boolean {
  if (reason === 'status') return status >= 500
  return reason === 'timeout' || reason === 'too_large' || (reason === 'refused' && hasBegun)
}
