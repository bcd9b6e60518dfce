// A job as the outbox holds it, and its form on disk. Earlier and later versions read the same form.
import { corrupt, parseJson } from '../../lib/json.ts'
import type { Json } from '../bus/bus.ts'

/** Who runs it: this process; whichever process gets it from Redis; or nobody, because its last attempt has failed. */
const PLACES = ['here', 'redis', 'dead'] as const

export interface OutboxJob {
  readonly name: string
  readonly id: string
  readonly data: Json
  readonly attempts: number
  readonly backoffMs: number
  readonly addedAtMs: number
  /** When it may run next; by the wall clock. */
  readonly dueAtMs: number
  /** How many attempts have failed here. */
  readonly failed: number
  readonly place: (typeof PLACES)[number]
}

export type JobRef = Pick<OutboxJob, 'name' | 'id'>

// A job's name is a word of ours, without a colon.
export const keyOf = ({ name, id }: JobRef) => `${name}:${id}`

export const encodeJob = (job: OutboxJob) => JSON.stringify(job)

export function decodeJob(text: string): OutboxJob | typeof corrupt {
  const json = parseJson(text)
  return isJob(json) ? json : corrupt
}

const NUMBERS = ['attempts', 'backoffMs', 'addedAtMs', 'dueAtMs', 'failed'] as const

function isJob(json: unknown): json is OutboxJob {
  if (typeof json !== 'object' || json === null) return false
  const job = json as Partial<Record<keyof OutboxJob, unknown>>
  return (
    typeof job.name === 'string' &&
    typeof job.id === 'string' &&
    job.data !== undefined &&
    NUMBERS.every((field) => Number.isFinite(job[field])) &&
    PLACES.some((place) => place === job.place)
  )
}
