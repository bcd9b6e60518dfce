// A process of the app that has background jobs, over a test's own Redis.
import { openQueue } from '../../src/core/queue/open-queue.ts'
import { openProcess, type TestProcessOptions, targetOf } from './stores.ts'

export async function openJobs({ stuckMs, ...options }: TestProcessOptions & { stuckMs?: number }) {
  let queue: ReturnType<typeof openQueue> | undefined
  const budgetMs = options.budgetMs ?? 100
  const opened = await openProcess({
    ...options,
    beside: (roles, log) => {
      const redis = {
        state: targetOf(options.stateUrl ?? options.cacheUrl),
        ca: undefined,
        budgetMs,
        prefix: 'samovar:',
      }
      queue = openQueue({ redis, state: roles.state, log, ...(stuckMs && { stuckMs }) })
      return [queue]
    },
  })
  if (!queue) throw new Error('no queue was opened')
  const opening = queue
  return {
    ...opened,
    queue: opening,
    async close() {
      await opening.close()
      await opened.close()
    },
  }
}

export type TestJobs = Awaited<ReturnType<typeof openJobs>>
