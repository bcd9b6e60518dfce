// Where webhooks arrive: whose they are, whether they are signed, and what is answered.
import { randomBytes } from 'node:crypto'
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
import type { WebhookScheme, WebhookSource } from '../../lib/webhook-sources.ts'
import type { Log } from '../../log.ts'
import type { Sql } from '../../sql/sql.ts'
import { verifyGithub } from './github-signature.ts'
import { verifyStandard } from './standard-signature.ts'
import { verifyTelegram } from './telegram-signature.ts'
import type { Signed, Verdict } from './verdict.ts'
import { lastDeliveries } from './webhook-records.ts'
import type { Webhooks } from './webhooks.ts'

const BODY_BYTES = 1024 * 1024

const verify: Record<WebhookScheme, (signed: Signed) => Verdict> = {
  standard: verifyStandard,
  github: verifyGithub,
  telegram: verifyTelegram,
}

/** A delivery with none of them need not be read. */
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
  const mostSecrets = Math.max(1, ...[...sources.values()].map(({ secrets }) => secrets.length))

  function sourceNamed(name: unknown): WebhookSource & { name: string } {
    const source = sources.get(String(name))
    if (!source) throw unknownSource()
    return { name: String(name), ...source }
  }

  // Before the body is read. Which sources there are is nobody's business: all of them ask for the same here.
  const refuseEarly: RequestHandler = async (req, res, next) => {
    if (schemesIn(req).length === 0) await refuseUnsigned(req, res)
    next()
  }

  async function refuseUnsigned(req: Request, res: Response): Promise<never> {
    await limitUnsigned(req, res) // before the log: a flood has no line for each
    return refuse(req, 'bad_signature')
  }

  function refuse(req: Request, why: keyof typeof refusals): never {
    const source = String(req.params.source)
    const isKnown = sources.has(source)
    // `asked`: a made-up name must not be a kind of line of its own (lib/log-flood.ts).
    const fields = isKnown
      ? { source, outcome: why }
      : { asked: source.slice(0, 64), outcome: 'unknown_source' }
    log.info(fields, 'webhook refused')
    throw refusals[why]()
  }

  const receive: RequestHandler = async (req, res) => {
    const source = String(req.params.source)
    const body: Buffer = req.body
    const nowMs = now()
    const delivered = { headers: req.headers, body, nowMs, toleranceMs }
    const verdict = judge(sources.get(source), delivered, mostSecrets)
    const isRefused = 'refused' in verdict
    if (isRefused && verdict.refused === 'bad_signature') return refuseUnsigned(req, res)
    // Not earlier: that a source is closed tells that it exists.
    if (isClosed(source)) throw sourceClosed()
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
    post: [refuseEarly, rawBody(BODY_BYTES), receive],
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

const schemesIn = ({ headers }: Pick<Request, 'headers'>) =>
  (Object.keys(verify) as WebhookScheme[]).filter((scheme) => headers[signatureHeader[scheme]] !== undefined)

/** What nobody's signature is made with. */
const DECOY = randomBytes(32).toString('base64')

/**
 * The source's verdict. A refusal costs the same whatever the source's scheme is, however many secrets it has, and
 * where there is none: what was sent of each scheme is tried with `mostSecrets`, with decoys where there are fewer.
 */
export function judge(
  source: WebhookSource | undefined,
  delivery: Omit<Signed, 'secrets'>,
  mostSecrets: number,
  schemes: Readonly<typeof verify> = verify,
): Verdict {
  const verdict: Verdict = source
    ? schemes[source.scheme]({ ...delivery, secrets: source.secrets })
    : { refused: 'bad_signature' }
  if (!('refused' in verdict) || verdict.refused !== 'bad_signature') return verdict
  for (const scheme of schemesIn(delivery as Pick<Request, 'headers'>)) {
    const missing = mostSecrets - (scheme === source?.scheme ? source.secrets.length : 0)
    if (missing > 0) schemes[scheme]({ ...delivery, secrets: Array<string>(missing).fill(DECOY) })
  }
  return verdict
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
