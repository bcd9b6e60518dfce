// Requests to speak another protocol on their connection: the paths that do, the same handlers before them as before
// any request (sessions, limits), and refusals as problem documents.
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import express, { type Request, type RequestHandler } from 'express'
import { notFound, stopping } from '../../errors.ts'
import { withDeadline } from '../../lib/async/request-deadline.ts'
import type { Log } from '../../log.ts'
import type { Admission } from '../admission/admission.ts'
import { answerTo } from '../admission/refusals.ts'
import { asAppError } from '../problem.ts'
import { logRequests } from '../request-log.ts'

export interface UpgradeRoute {
  readonly path: string
  /** Run before it, as middleware of requests; what they answer is not sent, what they throw is. */
  readonly handlers: readonly RequestHandler[]
  /** Takes the connection over, or throws a refusal. */
  accept(req: Request, socket: Duplex, head: Buffer): void | Promise<void>
  /** Ends what was taken over. Called while other requests are still being answered. */
  close(): Promise<void>
}

export interface UpgradesOptions {
  readonly routes: readonly UpgradeRoute[]
  readonly trustProxy: number
  /** How long it may take to decide, in waiting for Redis, ms. */
  readonly deadlineMs: number
  readonly admission: Pick<Admission, 'upgrading' | 'turnAway'>
  readonly log: Log
}

export function createUpgrades({ routes, trustProxy, deadlineMs, admission, log }: UpgradesOptions) {
  let isStopping = false
  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', trustProxy)
  app.set('query parser', 'simple')
  app.use(logRequests(log))
  for (const { path, handlers } of routes) for (const handler of handlers) app.all(path, handler)

  function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until it is decided there is no other listener, and a reset by the other side would end the process.
    socket.on('error', () => socket.destroy())
    admission.upgrading(req, socket, () => decide(req as Request, socket, head))
  }

  function decide(req: Request, socket: Duplex, head: Buffer): void {
    const finish = async (thrown?: unknown) => {
      try {
        if (thrown) throw thrown
        if (isStopping) throw stopping()
        const route = routes.find(({ path }) => path === req.path)
        if (!route) throw notFound('That path')
        await route.accept(req, socket, head)
      } catch (error) {
        const problem = asAppError(error)
        if (problem.code === 'internal') log.error({ requestId: req.id, err: error }, 'an upgrade failed')
        admission.turnAway(req, socket, answerTo(problem, req.id))
      }
    }
    withDeadline(deadlineMs, (end) => {
      // Nothing is sent with this one: express and its middleware want an answer to put headers on.
      app(req, new ServerResponse(req) as never, (thrown?: unknown) => void finish(thrown).then(end))
    })
  }

  return {
    upgrade,
    async close() {
      isStopping = true
      await Promise.all(routes.map((route) => route.close()))
    },
  }
}
