// GET /admin/jobs: the jobs in Redis, for the admin.
import { type RequestHandler, Router } from 'express'

export interface JobsParts {
  path: string
  board: RequestHandler
  /** Refuses everybody but the admin. */
  guard: RequestHandler
}

export function jobsRoutes({ path, board, guard }: JobsParts): Router {
  const router = Router()
  router.use(path, guard, board)
  return router
}
