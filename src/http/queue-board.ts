// bull-board over the queues in Redis: what waits, what failed and why. It can be looked at, and nothing else.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { createBullBoard } from '@bull-board/api'
import { RedisUnavailable } from '../core/errors.ts'
import type { BullQueue } from '../core/queue/bull-queue.ts'
import { jobsUnavailable } from '../errors.ts'

type BoardOptions = Parameters<typeof createBullBoard>[0]

export type Board = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/** Serves the board below `path`; refuses with `jobs_unavailable` while there is no Redis to be asked. */
export function createQueueBoard(path: string, bullNow: () => BullQueue | undefined): Board {
  const boards = new WeakMap<BullQueue, { readonly size: number; readonly board: Board }>()

  /** Anew when a queue has come since. */
  async function boardOf(bull: BullQueue): Promise<Board> {
    const queues = bull.queues()
    const known = boards.get(bull)
    if (known?.size === queues.length) return known.board
    // Loaded when somebody looks: 20 MB that most containers never need.
    const [{ createBullBoard }, { BullMQAdapter }, { ExpressAdapter }] = await Promise.all([
      import('@bull-board/api'),
      import('@bull-board/api/bullMQAdapter'),
      import('@bull-board/express'),
    ])
    const adapter = new ExpressAdapter()
    adapter.setBasePath(path)
    createBullBoard({
      queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
      serverAdapter: adapter as unknown as BoardOptions['serverAdapter'], // typed by its own copy of the package
      options: { uiConfig: { boardTitle: 'Samovar: jobs', hideRedisDetails: true } },
    })
    // Its errors are Redis' errors; their texts are not for everybody who may read them here.
    adapter.setErrorHandler(() => ({ status: 503 as 500, body: { error: jobsUnavailable().message } }))
    const app = adapter.getRouter()
    app.disable('x-powered-by')
    const board: Board = (req, res, next) => app(req, res, next)
    boards.set(bull, { size: queues.length, board })
    return board
  }

  return async function showBoard(req, res, next) {
    const bull = bullNow()
    if (!bull) return next(jobsUnavailable())
    try {
      await bull.ping() // a frozen Redis costs one budget here, and not a hang in the board
    } catch (error) {
      return next(error instanceof RedisUnavailable ? jobsUnavailable() : error)
    }
    const board = await boardOf(bull)
    board(req, res, next)
  }
}
