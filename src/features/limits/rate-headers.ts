// RateLimit-Policy and RateLimit, as lists of structured fields.
// datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers
import type { Answer, Policy } from '../../core/limiter.ts'

/** The quota and the window of each policy, seconds. */
export function policyHeader(policies: readonly Policy[]): string {
  return policies
    .map(({ name, limit, windowMs }) => `"${name}";q=${limit};w=${Math.ceil(windowMs / 1_000)}`)
    .join(', ')
}

/** What is left of each, and after how many seconds that grows. */
export function rateHeader(answers: readonly Answer[]): string {
  return answers
    .map(
      ({ policy, remaining, growsAfterMs }) =>
        `"${policy.name}";r=${remaining};t=${Math.ceil(growsAfterMs / 1_000)}`,
    )
    .join(', ')
}
