// Is the process alive, is it ready: neither asks Redis, so neither can hang on it or lie about it. And which release
// it is.
import type { Probe } from '../../http/probes/probe.ts'

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

export function healthProbes({
  phase,
  mayChange,
  fileAlerts,
  status,
  version,
}: HealthParts): readonly Probe[] {
  const alive = { status: 200, body: { status: 'pass' } }
  const release = { status: 200, body: { version } }
  return [
    { path: '/livez', answer: () => alive },
    { path: '/version', answer: () => release },
    {
      path: '/readyz',
      answer() {
        const { status: redis, sinceMs } = status()
        const serving = phase() === 'serving' && mayChange()
        const alerts = fileAlerts().length
        const body = {
          status: serving ? (redis === 'redis' && alerts === 0 ? 'pass' : 'warn') : 'fail',
          redis,
          since: new Date(sinceMs).toISOString(),
          ...(alerts > 0 && { fileAlerts: alerts }),
          ...(!mayChange() && { data: 'handing_over' }),
        }
        return { status: serving ? 200 : 503, body }
      },
    },
  ]
}
