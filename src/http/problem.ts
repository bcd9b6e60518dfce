// Refusals and failures as problem documents (RFC 9457), and for people as pages, in one place.
import { STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { Refusal } from '../core/errors.ts'
import {
  AppError,
  bodyTooLarge,
  encodingUnsupported,
  internal,
  invalidInput,
  malformedJson,
  notFound,
  notJson,
  unavailable,
} from '../errors.ts'
import { blamed } from '../lib/blame.ts'
import type { Log } from '../log.ts'
import { sendErrorPage, wantsPage } from './site/error-page.ts'

export const answerNotFound: RequestHandler = (req) => {
  throw notFound(req.path.length > 100 ? 'That path' : req.path)
}

/** Answers every error that a route throws; only what is our fault is logged as an error. */
export function answerProblems(log: Log): ErrorRequestHandler {
  return async function answerProblem(thrown, req, res, next) {
    const problem = asAppError(thrown)
    if (problem.status >= 500) {
      const feature = blamed(thrown)
      log[levelOf(problem)](
        { requestId: req.id, path: req.path, ...(feature && { feature }), err: thrown },
        `answering ${problem.status}: ${problem.message}`,
      )
    }
    if (res.headersSent) return next(thrown)
    res
      .status(problem.status)
      .set({ 'Cache-Control': 'no-store', ...problem.headers, ...closing(problem, res) })
    if (wantsPage(req)) return sendErrorPage(req, res, problem)
    res.type('application/problem+json').end(JSON.stringify(problemDocument(problem, req)))
  }
}

/** A refusal that names a Connection header of its own must not keep open what is to be closed. */
function closing({ headers: { Connection: own } }: AppError, res: Response): Record<string, string> {
  const isClosing = !res.shouldKeepAlive || res.getHeader('Connection') === 'close'
  return own !== undefined && isClosing ? { Connection: `${own}, close` } : {}
}

/** Told elsewhere, once for all of them; and who has gone does not see what was abandoned. */
const QUIET = new Set(['handing_over', 'busy', 'abandoned'])

function levelOf({ code }: AppError): 'error' | 'warn' | 'debug' {
  if (code === 'internal') return 'error'
  return QUIET.has(code) ? 'debug' : 'warn'
}

/** Without the framework's answer: for a connection that was to be upgraded. */
export function problemDocument({ code, status, message }: AppError, req: { id?: string | undefined }) {
  return {
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: message,
    code,
    requestId: req.id,
  }
}

// Express' own parser and router throw errors with a `type` or a `status`; the rest is a bug of ours.
export function asAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  if (thrown instanceof Refusal) return refusedByCore(thrown)
  const { type, status, limit } = (thrown ?? {}) as { type?: string; status?: number; limit?: number }
  if (type === 'entity.too.large') return bodyTooLarge(limit ?? 0)
  if (type === 'entity.parse.failed') return malformedJson()
  if (type === 'charset.unsupported') return notJson()
  if (type === 'encoding.unsupported') return encodingUnsupported()
  if (typeof status === 'number' && status >= 400 && status < 500)
    return invalidInput('The request is malformed.')
  return internal()
}

/** What core refuses is never the client's fault: it is full, or waits for something. */
function refusedByCore({ code, message, retryAfterMs, cause }: Refusal): AppError {
  return unavailable(code, message, retryAfterMs, { cause })
}
