// Where webhooks arrive: whose they are, whether they are signed, and what is answered.
import express, { type Request, type RequestHandler, type Response, Router } from 'express'
import type { Outcome } from '../../core/once.ts'
import {
  badSignature,
  deliveryRunning,
  invalidInput,
  otherBody,
  outsideTolerance,
  sourceClosed,
  unknownSource,
} from '../../errors.ts'
import { endpoint } from '../../http/parse.ts'
import type { Now } from '../../lib/time.ts'
import type { WebhookScheme, WebhookSource } from '../../lib/webhook-sources.ts'
import type { Log } from '../../log.ts'
import type { Sql } from '../../sql/sql.ts'
import { verifyGithub } from './github-signature.ts'
import { verifyStandard } from './standard-signature.ts'
import { verifyTelegram } from './telegram-signature.ts'
import type { Signed, Verdict } from './verdict.ts'
import { lastDeliveries } from './webhook-records.ts'
import type { Webhooks } from './webhooks.ts'

const BODY_LIMIT = '1mb'

const verify: Record<WebhookScheme, (signed: Signed) => Verdict> = {
  standard: verifyStandard,
  github: verifyGithub,
  telegram: verifyTelegram,
}

/** A delivery without it need not be read. */
const signatureHeader: Record<WebhookScheme, string> = {
  standard: 'webhook-signature',
  github: 'x-hub-signature-256',
  telegram: 'x-telegram-bot-api-secret-token',
}

const refusals = {
  bad_signature: badSignature,
  outside_tolerance: outsideTolerance,
  no_id: () => invalidInput('The delivery has no id.'),
}

/** Counts the request, or throws. */
type Limit = (req: Request, res: Response) => Promise<void>

export interface WebhookRoutesParts {
  webhooks: Pick<Webhooks, 'accept'>
  sources: ReadonlyMap<string, WebhookSource>
  toleranceMs: number
  /**
   * Whether a delivery that was sent after this process began counts as new where nobody could be asked yet. It may be
   * one that is sent again: two that were handled are a conflict in the outage's report.
   */
  trustsTime: boolean
  /** Whether the source accepts nothing right now. */
  isClosed: (source: string) => boolean
  records: Sql
  /** Refuses who sends too often what is signed. */
  limitSigned: Limit
  /** Refuses who sends too often what is not. */
  limitUnsigned: Limit
  /** Refuses everybody but the admin. */
  guard: RequestHandler
  now?: Now
  log: Log
}

export function webhookRoutes({
  webhooks,
  sources,
  toleranceMs,
  trustsTime,
  isClosed,
  records,
  limitSigned,
  limitUnsigned,
  guard,
  now = Date.now,
  log,
}: WebhookRoutesParts): Router {
  const router = Router()

  function sourceNamed(name: unknown): WebhookSource & { name: string } {
    const source = sources.get(String(name))
    if (!source) throw unknownSource()
    return { name: String(name), ...source }
  }

  // Before the body is read: an unknown sender is refused without reading it.
  const refuseEarly: RequestHandler = async (req, res, next) => {
    const { name, scheme } = sourceNamed(req.params.source)
    if (isClosed(name)) throw sourceClosed()
    if (req.headers[signatureHeader[scheme]] === undefined) await refuseUnsigned(req, res)
    next()
  }

  async function refuseUnsigned(req: Request, res: Response): Promise<never> {
    await limitUnsigned(req, res) // before the log: a flood has no line for each
    return refuse(req, 'bad_signature')
  }

  function refuse(req: Request, why: keyof typeof refusals): never {
    log.info({ source: req.params.source, outcome: why }, 'webhook refused')
    throw refusals[why]()
  }

  const receive: RequestHandler = async (req, res) => {
    const { name: source, scheme, secrets } = sourceNamed(req.params.source)
    const body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
    const nowMs = now()
    const verdict = verify[scheme]({ headers: req.headers, body, secrets, nowMs, toleranceMs })
    const isRefused = 'refused' in verdict
    if (isRefused && verdict.refused === 'bad_signature') return refuseUnsigned(req, res)
    // Only now, so that requests without a secret do not use up the share of those that have one.
    await limitSigned(req, res)
    if (isRefused) return refuse(req, verdict.refused)
    const { id, sentAtMs } = verdict
    const contentType = req.headers['content-type']
    const delivery = { source, id, contentType, body, receivedAtMs: nowMs }
    const outcome = await webhooks.accept(delivery, trustsTime ? sentAtMs : undefined)
    log.info({ source, id, outcome: wordFor(outcome) }, 'webhook')
    answer(res, outcome)
  }

  endpoint(router, '/api/webhooks/:source', {
    // Inflating would change the bytes that were signed.
    post: [refuseEarly, express.raw({ type: () => true, limit: BODY_LIMIT, inflate: false }), receive],
  })
  endpoint(router, '/api/webhooks/:source/deliveries', {
    get: [
      guard,
      async (req, res) => {
        const { name: source } = sourceNamed(req.params.source)
        const deliveries = await lastDeliveries(records, source)
        res.set('Cache-Control', 'no-store').json({ source, deliveries })
      },
    ],
  })
  return router
}

function answer(res: Response, outcome: Outcome): void {
  if (outcome.kind === 'running') throw deliveryRunning(outcome.retryAfterMs)
  if (outcome.kind === 'other-body') throw otherBody()
  res.set('Cache-Control', 'no-store')
  if (outcome.replayed) res.set('Idempotent-Replayed', 'true')
  if (outcome.answer.length === 0) res.status(204).end()
  else res.type('application/json').end(outcome.answer)
}

const wordFor = (outcome: Outcome) =>
  outcome.kind === 'done' && outcome.replayed ? 'replayed' : outcome.kind
