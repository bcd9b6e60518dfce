// /admin/jobs: the jobs in Redis, for the admin; /admin/jobs/dead and /api/jobs/dead: dead letters, and running them
// again.
import { type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { RedisUnavailable } from '../../core/errors.ts'
import type { DeadLetter, DeadLetters } from '../../core/queue/queue.ts'
import { deadLetterAway, deadLetterUnknown, notDead } from '../../errors.ts'
import { languageOf, sendOwnPage } from '../../http/page.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { plainText } from '../../lib/plain-text.ts'
import type { Log } from '../../log.ts'
import { deadLettersHtml, type RetryOutcome } from './dead-letters-html.ts'

export interface JobsParts {
  path: string
  board: RequestHandler
  deadLetters: DeadLetters
  /** Refuses everybody but the admin. */
  guard: RequestHandler
  /** The same for pages. */
  pageGuard: RequestHandler
  log: Log
}

const job = z.object({ name: plainText.min(1).max(200), id: plainText.min(1).max(1_000) })
const outcomes = ['retried', 'not-dead', 'unknown', 'away'] as const satisfies readonly RetryOutcome[]
const pageQuery = z.object({ outcome: z.enum(outcomes).optional().catch(undefined) })

export function jobsRoutes({ path, board, deadLetters, guard, pageGuard, log }: JobsParts): Router {
  async function retry(ref: z.infer<typeof job>): Promise<RetryOutcome> {
    try {
      const outcome = await deadLetters.retry(ref)
      if (outcome === 'retried') log.info({ job: ref.name, id: ref.id }, 'a dead letter is run again')
      return outcome
    } catch (error) {
      if (error instanceof RedisUnavailable) return 'away'
      throw error
    }
  }

  const router = Router()
  endpoint(router, '/api/jobs/dead', {
    get: [
      guard,
      async (_req, res) => {
        const { letters, isComplete } = await deadLetters.list()
        res.set('Cache-Control', 'no-store').json({ isComplete, dead: letters.map(shown) })
      },
    ],
  })
  endpoint(router, '/api/jobs/dead/retry', {
    post: [
      guard,
      async (req, res) => {
        const ref = parse(job, req.body ?? {})
        const outcome = await retry(ref)
        if (outcome === 'away') throw deadLetterAway()
        if (outcome === 'unknown') throw deadLetterUnknown()
        if (outcome === 'not-dead') throw notDead()
        res.set('Cache-Control', 'no-store').json({ ...ref, outcome })
      },
    ],
  })
  endpoint(router, `${path}/dead`, {
    get: [
      pageGuard,
      async (req, res) => {
        const language = languageOf(req)
        const { outcome } = parse(pageQuery, req.query)
        await sendOwnPage(res, deadLettersHtml({ language, outcome, ...(await deadLetters.list()) }))
      },
    ],
  })
  endpoint(router, `${path}/dead/retry`, {
    post: [
      pageGuard,
      async (req, res) => {
        const outcome = await retry(parse(job, req.body ?? {}))
        const query = new URLSearchParams({ lang: languageOf(req), outcome })
        res.set('Cache-Control', 'no-store').redirect(303, `../dead?${query}`) // also below a proxy's path
      },
    ],
  })
  router.use(path, pageGuard, board)
  return router
}

const shown = ({ name, id, reason, failedAtMs }: DeadLetter) => ({
  name,
  id,
  reason,
  failedAt: failedAtMs === undefined ? null : new Date(failedAtMs).toISOString(),
})
