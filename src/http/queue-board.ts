// bull-board over the queues in Redis: what waits, what failed and why. Read-only.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { createBullBoard } from '@bull-board/api'
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { RedisUnavailable } from '../core/errors.ts'
import type { QueuesInRedis } from '../core/queue/queue.ts'
import { jobsUnavailable } from '../errors.ts'

type BoardOptions = Parameters<typeof createBullBoard>[0]
type BullQueue = ConstructorParameters<typeof BullMQAdapter>[0]

export type Board = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/** Serves the board below `path`; refuses with `jobs_unavailable` while BullMQ does not work. */
export function createQueueBoard(path: string, bullNow: () => QueuesInRedis | undefined): Board {
  const boards = new WeakMap<QueuesInRedis, { readonly size: number; readonly board: Board }>()

  /** Built again when a queue has been added since. */
  async function boardOf(bull: QueuesInRedis): Promise<Board> {
    const queues = bull.queues()
    const known = boards.get(bull)
    if (known?.size === queues.length) return known.board
    // Loaded on the first request: 20 MB that most containers never need.
    const [{ createBullBoard }, { BullMQAdapter }, { ExpressAdapter }] = await Promise.all([
      import('@bull-board/api'),
      import('@bull-board/api/bullMQAdapter'),
      import('@bull-board/express'),
    ])
    const adapter = new ExpressAdapter()
    adapter.setBasePath(path)
    createBullBoard({
      queues: queues.map((queue) => new BullMQAdapter(queue as BullQueue, { readOnlyMode: true })),
      serverAdapter: adapter as unknown as BoardOptions['serverAdapter'], // typed by its own copy of the package
      options: { uiConfig: { boardTitle: 'Samovar: jobs', hideRedisDetails: true } },
    })
    // Its errors are those of Redis, and their texts are not for everybody who may see the board.
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
      await bull.ping() // a frozen Redis costs one budget here; in the board it would hang
    } catch (error) {
      return next(error instanceof RedisUnavailable ? jobsUnavailable() : error)
    }
    const board = await boardOf(bull)
    board(req, res, next)
  }
}
