// Is the process alive, is it ready: neither asks Redis, so neither can hang on it or lie about it. And which release
// it is.
import { Router } from 'express'
import { endpoint } from '../../http/parse.ts'

export type Phase = 'starting' | 'serving' | 'stopping'

export interface HealthParts {
  phase: () => Phase
  /** What was wrong with files of the data directory, in the last day. */
  fileAlerts: () => readonly unknown[]
  /** Whether changes are accepted: not while a redeploy hands the data over, or after it. */
  mayChange: () => boolean
  status: () => { status: 'redis' | 'memory' | 'merging'; sinceMs: number }
  version: string
}

export function healthRoutes({ phase, mayChange, fileAlerts, status, version }: HealthParts): Router {
  const router = Router()
  endpoint(router, '/livez', {
    get: (_req, res) => void res.set('Cache-Control', 'no-store').json({ status: 'pass' }),
  })
  endpoint(router, '/version', {
    get: (_req, res) => void res.set('Cache-Control', 'no-store').json({ version }),
  })
  endpoint(router, '/readyz', {
    get(_req, res) {
      const { status: redis, sinceMs } = status()
      const serving = phase() === 'serving' && mayChange()
      const alerts = fileAlerts().length
      res
        .status(serving ? 200 : 503)
        .set('Cache-Control', 'no-store')
        .json({
          status: serving ? (redis === 'redis' && alerts === 0 ? 'pass' : 'warn') : 'fail',
          redis,
          since: new Date(sinceMs).toISOString(),
          ...(alerts > 0 && { fileAlerts: alerts }),
          ...(!mayChange() && { data: 'handing_over' }),
        })
    },
  })
  return router
}
