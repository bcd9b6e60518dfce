// The jobs in Redis, for the admin to look at.
import type { RequestHandler } from 'express'
import { defineFeature } from '../../feature.ts'
import { jobsRoutes } from './jobs-routes.ts'

const PATH = '/admin/jobs'

export const jobs = defineFeature({
  name: 'jobs',
  about: {
    en: 'the jobs in Redis as a page, `/admin/jobs`',
    ru: 'задания в Redis на странице `/admin/jobs`',
  },
  setup: ({ admin }, { boardAt }: { boardAt: (path: string) => RequestHandler }) => ({
    routes: jobsRoutes({ path: PATH, board: boardAt(PATH), guard: admin.onlyOnPage }),
  }),
})
