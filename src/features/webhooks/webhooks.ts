// Deliveries and their handlers: each delivery is handled once (core/once.ts), and what its handler writes through its
// transaction is committed together with the mark that it is done. So it takes effect exactly once, even where the
// process is killed between the two or a handler outlives its lease: the mark has a primary key.

import { createHash } from 'node:crypto'
import { Refusal } from '../../core/errors.ts'
import { type Done, MOST_ANSWER_BYTES, type Once, type Outcome, type Run } from '../../core/once.ts'
import { type AppError, handlerFailed } from '../../errors.ts'
import { asAppError } from '../../http/problem.ts'
import { originOf } from '../../lib/error-origin.ts'
import type { Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Records, Transaction } from '../../sql/sql.ts'
import { encodeAnswer } from './answers.ts'
import { webhookKeys } from './webhook-keys.ts'
import { type Delivery, findDone, keepDelivery, markDone } from './webhook-records.ts'

export interface Handling {
  /** What is written here takes effect exactly once. Everything else a handler does, at least once. */
  readonly tx: Transaction
  /** Aborts after 25 s; nothing of a handler that is still at work then is kept. */
  readonly signal: AbortSignal
}

/**
 * What it returns is answered as JSON (at most 16 kB), or as `answerWith` says (12 kB), also to later duplicates;
 * nothing: the scheme's answer, mostly 204. When it rejects the answer is 500, or that of the refusal, and the sender's
 * next attempt runs it again.
 */
export type Handler = (delivery: Delivery, handling: Handling) => Promise<unknown>

export interface Webhooks {
  /** Registers the handler of that source: one for each. A source without one is accepted, and kept. */
  on(source: string, handler: Handler): void
  /** The answer is for `decodeAnswer`. */
  accept(delivery: Delivery, options?: AcceptOptions): Promise<Outcome>
}

export interface AcceptOptions {
  /** It was not handled before. */
  readonly madeAtMs?: number | undefined
  /** Whether one with this id is the same, whatever its bytes are. */
  readonly sameBy?: 'bytes' | 'id' | undefined
}

export interface WebhooksOptions {
  once: Once
  records: Records
  now?: Now
  log: Log
}

export function createWebhooks({ once, records, now = Date.now, log }: WebhooksOptions): Webhooks {
  const handlers = new Map<string, Handler>()

  const handle = (delivery: Delivery, fingerprint: string, run: Run): Promise<Done> =>
    records.transaction(async (tx) => {
      keepDelivery(tx, delivery)
      const reply = await handlers.get(delivery.source)?.(delivery, { tx, signal: run.signal })
      const done = { by: run.by, fingerprint, answer: encodeReply(reply) }
      markDone(tx, delivery, done, now())
      run.throwIfLate()
      return done
    })

  function failure(error: unknown, { source, id }: Delivery): AppError {
    if (error instanceof Refusal) return asAppError(error)
    // Not the message: a parser's quotes what it was given, and bodies stay out of the log.
    log.error({ source, id, ...originOf(error) }, 'the handler of a webhook failed')
    return handlerFailed()
  }

  return {
    on(source, handler) {
      if (handlers.has(source)) throw new TypeError(`the source ${source} has a handler`)
      handlers.set(source, handler)
    },
    async accept(delivery, { madeAtMs, sameBy = 'bytes' } = {}) {
      const told = sameBy === 'id' ? delivery.id : delivery.body
      const fingerprint = createHash('sha256').update(told).digest('hex')
      return once.run({
        key: webhookKeys.webhook(delivery.source, delivery.id),
        fingerprint,
        madeAtMs,
        async work(run) {
          const before = await findDone(records, delivery)
          if (before) return before
          try {
            return await handle(delivery, fingerprint, run)
          } catch (error) {
            // Another process may have been first: one whose lease had ended, or that was cut off from us.
            const done = await findDone(records, delivery)
            if (done) return done
            throw failure(error, delivery)
          }
        },
      })
    },
  }
}

function encodeReply(reply: unknown): Buffer {
  const answer = encodeAnswer(reply)
  if (answer.length > MOST_ANSWER_BYTES) throw new AnswerTooLarge()
  return answer
}

class AnswerTooLarge extends RangeError {}
