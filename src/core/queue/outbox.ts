// The unfinished jobs that this process knows: those that run here because Redis does not have them, copies of those
// that Redis has, in case it loses them, and dead letters that Redis does not have yet. Each is on disk before `add`
// resolves, so it outlives the process and the container.
import { corrupt, parseJson } from '../../lib/codec.ts'
import type { Log } from '../../log.ts'
import type { Json } from '../bus/bus.ts'
import { stateFull } from '../errors.ts'
import type { Participant } from '../participant.ts'
import type { StateDisk } from '../state/disk/state-disk.ts'

export const MAX_JOBS = 10_000

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
  /** Of a dead letter: what its last attempt failed with. */
  readonly reason?: string
}

export type JobRef = Pick<OutboxJob, 'name' | 'id'>

// A job's name is a word of ours, without a colon.
export const keyOf = ({ name, id }: JobRef) => `${name}:${id}`

export interface Outbox extends Pick<Participant, 'load' | 'persist'> {
  get(job: JobRef): OutboxJob | undefined
  /**
   * Stores the job in the place of its older version. A full outbox drops copies: false when this is a copy, and is not
   * stored. Throws `state_full` when the job is only here and there is no copy to drop.
   */
  put(job: OutboxJob): boolean
  delete(job: JobRef): void
  /** How many run here, because Redis does not have them. */
  hereCount(): number
  /** Those that are there now. */
  jobs(): OutboxJob[]
  /** Calls the listener with each job that is to run here. */
  onHere(listener: (job: OutboxJob) => void): void
}

export function createOutbox(log: Pick<Log, 'warn' | 'error'>): Outbox {
  const jobs = new Map<string, OutboxJob>()
  const corruptKeys = new Set<string>()
  let disk: StateDisk | undefined
  let isFull = false
  let hereCount = 0
  let here: (job: OutboxJob) => void = () => {}

  function store(key: string, job: OutboxJob): void {
    if (jobs.get(key)?.place === 'here') hereCount -= 1
    if (job.place === 'here') hereCount += 1
    jobs.set(key, job)
  }

  function remove(key: string): void {
    if (jobs.get(key)?.place === 'here') hereCount -= 1
    if (!jobs.delete(key)) return
    disk?.saveJob(key, undefined)
    if (jobs.size < MAX_JOBS / 2) isFull = false
  }

  function warnFull(): void {
    if (isFull) return
    isFull = true
    log.warn(
      { jobs: jobs.size },
      'the outbox of jobs is full: some jobs are in Redis alone and are lost if Redis loses its data; ' +
        'run more workers, or add fewer jobs',
    )
  }

  /** Redis has what is dropped. */
  function dropCopy(): boolean {
    for (const [key, { place }] of jobs) {
      if (place !== 'redis') continue
      remove(key)
      return true
    }
    return false
  }

  function readJob(key: string, text: string): OutboxJob | undefined {
    const job = decodeJob(text)
    if (job !== corrupt) return job
    if (!corruptKeys.has(key)) {
      corruptKeys.add(key)
      const fields = { key, corrupt: corruptKeys.size }
      log.error(fields, 'a job on disk cannot be read and does not run: add it again if it is missed')
    }
    return undefined
  }

  return {
    get: (job) => jobs.get(keyOf(job)),
    put(job) {
      const key = keyOf(job)
      if (!jobs.has(key) && jobs.size >= MAX_JOBS) {
        warnFull()
        if (job.place === 'redis') return false
        if (!dropCopy()) throw stateFull()
      }
      store(key, job)
      disk?.saveJob(key, encodeJob(job))
      if (job.place === 'here') here(job)
      return true
    },
    delete: (job) => remove(keyOf(job)),
    hereCount: () => hereCount,
    jobs: () => [...jobs.values()],
    onHere(listener) {
      here = listener
    },
    persist() {
      disk = undefined
    },
    load(opened) {
      disk = opened
      for (const [key, text] of disk.jobs()) {
        const job = jobs.has(key) ? undefined : readJob(key, text)
        if (!job) continue
        store(key, job)
        if (job.place === 'here') here(job)
      }
      for (const [key, job] of jobs) disk.saveJob(key, encodeJob(job))
    },
  }
}

/** The form on disk, which earlier and later versions read as well. */
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
