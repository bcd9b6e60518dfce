// GET /admin/jobs: the jobs in Redis, for the admin.
import { type RequestHandler, Router } from 'express'

export interface JobsParts {
  board: RequestHandler
  /** Refuses everybody but the admin. */
  guard: RequestHandler
}

export function jobsRoutes({ board, guard }: JobsParts): Router {
  const router = Router()
  router.use('/admin/jobs', guard, board)
  return router
}
