// A process of the app that has background jobs, over a test's own Redis.
import { openProcess } from './stores.ts'

export const openJobs = openProcess

export type TestJobs = Awaited<ReturnType<typeof openJobs>>
