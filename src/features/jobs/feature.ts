// The jobs in Redis, for the admin to look at, and dead letters, to run them again.
import type { RequestHandler } from 'express'
import type { DeadLetters } from '../../core/queue/queue.ts'
import { defineFeature } from '../../feature.ts'
import { jobsRoutes } from './jobs-routes.ts'

const PATH = '/admin/jobs'

export interface JobsFeatureParts {
  boardAt: (path: string) => RequestHandler
  deadLetters: DeadLetters
}

export const jobs = defineFeature({
  name: 'jobs',
  about: {
    en: 'the jobs in Redis as a page, `/admin/jobs`',
    ru: 'задания в Redis на странице `/admin/jobs`',
  },
  setup: ({ admin, log }, { boardAt, deadLetters }: JobsFeatureParts) => ({
    routes: jobsRoutes({
      path: PATH,
      board: boardAt(PATH),
      deadLetters,
      guard: admin.only,
      pageGuard: admin.onlyOnPage,
      log,
    }),
  }),
})
