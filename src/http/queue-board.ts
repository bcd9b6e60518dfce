// bull-board over the queues in Redis: what waits, what failed and why. Read-only.
import type { createBullBoard } from '@bull-board/api'
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import type { RequestHandler, Response } from 'express'
import { RedisUnavailable } from '../core/errors.ts'
import type { QueuesInRedis } from '../core/queue/queue.ts'
import { jobsUnavailable } from '../errors.ts'
import { prefixOf } from './admin/forwarded-prefix.ts'

type BullBoardOptions = Parameters<typeof createBullBoard>[0]
type BullQueue = ConstructorParameters<typeof BullMQAdapter>[0]

/** The rules of every other page (security.ts), but for its `<base>`, and for styles that stand in the page. */
const POLICY = [
  "default-src 'self'",
  "base-uri 'self'",
  "style-src 'self' 'unsafe-inline'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "object-src 'none'",
].join(';')

/** A font of another host, which would learn who looks at the page: the browser's own is good enough. */
const FONT = /<link href="https:\/\/fonts\.googleapis\.com\/[^>]*>/

export interface BoardOptions {
  path: string
  bull: () => QueuesInRedis | undefined
  /** Links in its menu, below the site's root. */
  links?: readonly { readonly text: string; readonly path: string }[]
}

/** Serves the board below `path`; refuses with `jobs_unavailable` while BullMQ does not work. */
export function createQueueBoard({ path, bull: bullNow, links = [] }: BoardOptions): RequestHandler {
  const boards = new WeakMap<QueuesInRedis, { readonly size: number; readonly board: RequestHandler }>()

  /** Built again when a queue has been added since. */
  async function boardOf(bull: QueuesInRedis): Promise<RequestHandler> {
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
      serverAdapter: adapter as unknown as BullBoardOptions['serverAdapter'], // typed by its own copy of the package
      options: {
        uiConfig: {
          boardTitle: 'Samovar: jobs',
          hideRedisDetails: true,
          miscLinks: links.map(({ text, path: url }) => ({ text, url })),
        },
      },
    })
    // Its errors are those of Redis, and their texts are not for everybody who may see the board.
    adapter.setErrorHandler(() => ({ status: 503 as 500, body: { error: jobsUnavailable().message } }))
    const app = adapter.getRouter()
    app.disable('x-powered-by')
    const board: RequestHandler = (req, res, next) => app(req, res, next)
    boards.set(bull, { size: queues.length, board })
    return board
  }

  return async function showBoard(req, res, next) {
    const prefix = prefixOf(req)
    // Its page asks for what is beside it, and knows its own address by the path before the last slash.
    if (req.path === '/' && !req.originalUrl.startsWith(`${path}/`)) {
      res.set('Cache-Control', 'no-store')
      return res.redirect(308, `${prefix}${path}/${req.originalUrl.slice(path.length)}`)
    }
    const bull = bullNow()
    if (!bull) return next(jobsUnavailable())
    try {
      await bull.ping() // a frozen Redis costs one budget here; in the board it would hang
    } catch (error) {
      return next(error instanceof RedisUnavailable ? jobsUnavailable() : error)
    }
    const board = await boardOf(bull)
    res.set('Content-Security-Policy', POLICY)
    renderBelow(res, `${prefix}${path}/`)
    board(req, res, next)
  }
}

/** Its page with that address as its base, and without what comes from elsewhere. */
function renderBelow(res: Response, basePath: string): void {
  res.render = function render(this: Response, name: string, given?: object) {
    const done = (error: unknown, page = '') => {
      if (error) this.req.next?.(error)
      else this.set('Cache-Control', 'no-store').type('html').send(page.replace(FONT, ''))
    }
    Object.getPrototypeOf(this).render.call(this, name, { ...given, basePath }, done)
  }
}
