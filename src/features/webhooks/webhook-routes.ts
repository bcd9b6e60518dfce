// Where webhooks arrive: whose they are, whether they are signed, and what is answered.
import { type Request, type RequestHandler, type Response, Router } from 'express'
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
import { rawBody } from '../../http/admission/read-body.ts'
import { endpoint } from '../../http/parse.ts'
import type { Now } from '../../lib/time.ts'
import {
  headerOf,
  type RawAnswer,
  type Refused,
  type WebhookScheme,
} from '../../lib/webhooks/webhook-scheme.ts'
import type { Log } from '../../log.ts'
import type { Sql } from '../../sql/sql.ts'
import { decodeAnswer } from './answers.ts'
import type { Confirm } from './confirm.ts'
import { createJudge, type Source } from './judge.ts'
import { lastDeliveries } from './webhook-records.ts'
import type { Webhooks } from './webhooks.ts'

const BODY_BYTES = 1024 * 1024
/** Of a delivery that has no header of a signature: everybody may send one. */
const UNSIGNED_BODY_BYTES = 64 * 1024
const ID = /^[\x20-\x7e]{1,512}$/

const refusals = {
  bad_signature: badSignature,
  outside_tolerance: outsideTolerance,
  no_id: () => invalidInput('The delivery has no id.'),
}

/** Why, for the log. */
type Refusal = Omit<Refused, 'refused'> & { readonly refused: keyof typeof refusals }

/** Counts the request, or throws. */
type Limit = (req: Request, res: Response) => Promise<void>

export interface WebhookRoutesParts {
  webhooks: Pick<Webhooks, 'accept'>
  schemes: readonly WebhookScheme[]
  sources: ReadonlyMap<string, Source>
  confirm: Confirm
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
  schemes,
  sources,
  confirm,
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
  const { judge, judgeEarly } = createJudge({ schemes, sources, log })

  function sourceNamed(name: unknown): Source & { name: string } {
    const source = sources.get(String(name))
    if (!source) throw unknownSource()
    return { name: String(name), ...source }
  }

  // Before the body is read. Which sources there are is nobody's business: all of them ask for the same here.
  const readBody: RequestHandler = async (req, res, next) => {
    const early = judgeEarly(req.headers, req.ip, sources.get(String(req.params.source)))
    if (typeof early === 'object') return refuseUnsigned(req, res, early)
    await (early === 'signed' ? readSigned : readUnsigned)(req, res, next)
  }

  async function refuseUnsigned(req: Request, res: Response, why: Refusal): Promise<never> {
    await limitUnsigned(req, res) // before the log: a flood has no line for each
    return refuse(req, why)
  }

  function refuse(req: Request, { refused, reason, offS }: Refusal): never {
    const source = String(req.params.source)
    // `asked`: a made-up name must not be a kind of line of its own (lib/log-flood.ts).
    const fields = sources.has(source)
      ? { source, outcome: refused, reason, ...(offS !== undefined && { offS }) }
      : {
          asked: source.slice(0, 64),
          outcome: 'unknown_source',
          reason: 'WEBHOOK_SECRETS has no such source',
        }
    log.info(fields, 'webhook refused')
    throw refusals[refused]()
  }

  const receive: RequestHandler = async (req, res) => {
    const source = String(req.params.source)
    const nowMs = now()
    const body: Buffer = req.body
    const given = { headers: req.headers, body, url: urlOf(req), nowMs, toleranceMs }
    const known = sources.get(source)
    const verdict = judge(known, given, req.ip)
    if (known === undefined || verdict.refused === 'bad_signature')
      return refuseUnsigned(req, res, verdict as Refused)
    // Not earlier: that a source is closed tells that it exists.
    if (isClosed(source)) throw sourceClosed()
    // Only now, so that requests without a secret do not use up the share of those that have one.
    await limitSigned(req, res)
    if (verdict.refused !== undefined) return refuse(req, verdict)
    const { scheme, secrets } = known
    const alone = scheme.answerAlone?.({ ...given, secrets })
    if (alone !== undefined) {
      log.info({ source, outcome: 'answered' }, 'webhook')
      return send(res, alone)
    }
    const id = scheme.idOf({ ...given, secrets }) ?? ''
    if (!ID.test(id)) return refuse(req, { refused: 'no_id', reason: 'no id' })
    const confirmation = await confirm({ name: source, ...known }, given)
    if ('refused' in confirmation) return refuseUnsigned(req, res, confirmation)
    const { confirmed } = confirmation
    const outcome = await webhooks.accept(
      {
        source,
        id,
        contentType: req.headers['content-type'],
        headers: headersFor(scheme, req),
        body,
        receivedAtMs: nowMs,
        ...(confirmed !== undefined && { confirmed }),
      },
      { madeAtMs: trustsTime ? verdict.sentAtMs : undefined, sameBy: scheme.sameBy },
    )
    log.info({ source, id, outcome: wordFor(outcome) }, 'webhook')
    answer(res, outcome, scheme.answer)
  }

  endpoint(router, '/api/webhooks/:source', {
    post: [readBody, receive],
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

// Inflating would change the bytes that were signed.
const readSigned = rawBody(BODY_BYTES)
const readUnsigned = rawBody(UNSIGNED_BODY_BYTES)

/** As its sender called it, where TRUST_PROXY is right. */
const urlOf = (req: Request) => `${req.protocol}://${req.host ?? ''}${req.originalUrl}`

function headersFor({ handlerHeaders = [] }: WebhookScheme, req: Request): Record<string, string> {
  const found = handlerHeaders.map((name) => [name, headerOf(req, name)]).filter(([, value]) => value !== '')
  return Object.fromEntries(found)
}

function answer(res: Response, outcome: Outcome, otherwise: RawAnswer | undefined): void {
  if (outcome.kind === 'running') throw deliveryRunning(outcome.retryAfterMs)
  if (outcome.kind === 'other-body') throw otherBody()
  if (outcome.replayed) res.set('Idempotent-Replayed', 'true')
  send(res, decodeAnswer(outcome.answer, otherwise))
}

function send(res: Response, { status, contentType, body = '' }: RawAnswer): void {
  res.set('Cache-Control', 'no-store').status(status)
  if (contentType !== undefined) res.set('Content-Type', contentType)
  res.end(body)
}

const wordFor = (outcome: Outcome) =>
  outcome.kind === 'done' && outcome.replayed ? 'replayed' : outcome.kind
