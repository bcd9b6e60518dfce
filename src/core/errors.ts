// What core refuses and what it cannot do, with codes that stay the same. It knows no HTTP: http/problem.ts makes
// answers of these.

/** A refusal that callers see: a stable `code`, a sentence, and when to try again. */
export class Refusal extends Error {
  readonly code: string
  /** When it may succeed, ms from now; undefined when trying again does not help. */
  readonly retryAfterMs: number | undefined

  /** It is an answer, not a bug: its stack says nothing to who reads the log. */
  get isExpected(): true {
    return true
  }

  constructor(code: string, message: string, retryAfterMs?: number, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

export const stateFull = () =>
  new Refusal('state_full', 'The memory for state is used up while Redis is away.', 5_000)
/** Nobody who could know has been read yet: not "no", but "ask again". */
export const stateUnknown = () =>
  new Refusal('state_unknown', 'What is asked for is not known yet: Redis has not been read.', 1_000)
export const isStateUnknown = (error: unknown) => error instanceof Refusal && error.code === 'state_unknown'
export const handingOver = () =>
  new Refusal('handing_over', 'A redeploy is moving the data: nothing can be changed for a moment.', 1_000)
export const isHandingOver = (error: unknown) => error instanceof Refusal && error.code === 'handing_over'
export const workTimedOut = () => new Refusal('timed_out', 'This took too long and was given up.', 5_000)
export const sourceFailed = (options?: ErrorOptions) =>
  new Refusal(
    'source_failed',
    'The source of this data does not answer, and no copy is cached.',
    1_000,
    options,
  )

/** The source did not answer in time, which is not our bug either. */
export class SourceTooSlow extends Error {
  get isExpected(): true {
    return true
  }
}

export const tooManyLoads = () =>
  new Refusal('too_many_loads', 'Too much is being loaded right now. Try again in a moment.', 2_000)
/** Who asked has gone, and nobody else waits: nobody sees it. */
export const abandoned = () => new Refusal('abandoned', 'Nobody waits for this any more.', 1_000)

/**
 * `lost`: no connection. `refused`: an error reply. `silent`: over budget on a connection that sent nothing since.
 * `slow`: over budget, but the connection is alive. `deadline`: the request has used up the time that all of its
 * commands have together, which says nothing of Redis. `waiting`: the role may not use it before the other one does.
 */
export type UnavailableReason = 'lost' | 'refused' | 'silent' | 'slow' | 'deadline' | 'waiting'

/** Redis did not do what was asked, or nobody knows whether it did. Never a bug of ours. */
export class RedisUnavailable extends Error {
  readonly reason: UnavailableReason
  /** How long a call waited that was not answered in time, ms. */
  readonly waitedMs: number

  constructor(
    reason: UnavailableReason,
    message: string,
    { waitedMs = 0, ...options }: ErrorOptions & { waitedMs?: number } = {},
  ) {
    super(message, options)
    this.reason = reason
    this.waitedMs = waitedMs
  }
}

/** The server refuses to take more: it still answers. */
export const isOutOfMemory = (error: unknown) =>
  error instanceof RedisUnavailable && error.reason === 'refused' && /^-?OOM\b/.test(error.message)

export const deadlineExceeded = () => new RedisUnavailable('deadline', 'the request has used up its deadline')

/** Redis refuses one job, or the jobs of one name: what is under their keys is not BullMQ's. Redis itself is well. */
export class JobRefused extends Error {}
