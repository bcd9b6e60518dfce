// The jobs that this process knows and that are not finished: those that Redis does not have, which run here; copies of
// those it has, in case it loses them; and dead letters it has not been told of. On disk before a caller has its answer,
// so that they outlive the process and the container.

import type { Json } from '../bus/bus.ts'
import { stateFull } from '../errors.ts'
import type { Participant } from '../participant.ts'
import type { StateDisk } from '../state/disk/state-disk.ts'

const MOST_JOBS = 10_000

export interface KeptJob {
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
  /** Who runs it: this process, or whoever gets it from Redis; `dead`: nobody any more. */
  readonly place: 'here' | 'redis' | 'dead'
}

export type JobName = Pick<KeptJob, 'name' | 'id'>

export interface Outbox extends Pick<Participant, 'load' | 'persist'> {
  get(job: JobName): KeptJob | undefined
  /** Keeps it in the place of the version before. Throws `state_full` when there are too many that nobody else has. */
  put(job: KeptJob): void
  delete(job: JobName): void
  /** Those that are there now. */
  jobs(): KeptJob[]
  /** Told of each job that is to run here. */
  onHere(listener: (job: KeptJob) => void): void
}

export function createOutbox(): Outbox {
  const jobs = new Map<string, KeptJob>()
  let disk: StateDisk | undefined
  let here: (job: KeptJob) => void = () => {}

  /** A copy of what Redis has can be spared. */
  function makeRoom(): boolean {
    for (const [key, { place }] of jobs) {
      if (place !== 'redis') continue
      jobs.delete(key)
      disk?.saveJob(key, undefined)
      return true
    }
    return false
  }

  return {
    get: (job) => jobs.get(keyOf(job)),
    put(job) {
      const key = keyOf(job)
      if (!jobs.has(key) && jobs.size >= MOST_JOBS) {
        if (job.place === 'redis') return
        if (!makeRoom()) throw stateFull()
      }
      jobs.set(key, job)
      disk?.saveJob(key, JSON.stringify(job))
      if (job.place === 'here') here(job)
    },
    delete(job) {
      if (jobs.delete(keyOf(job))) disk?.saveJob(keyOf(job), undefined)
    },
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
        if (jobs.has(key)) continue
        const job = JSON.parse(text) as KeptJob
        jobs.set(key, job)
        if (job.place === 'here') here(job)
      }
      for (const [key, job] of jobs) disk.saveJob(key, JSON.stringify(job))
    },
  }
}

// A job's name is a word of ours, without a colon.
const keyOf = ({ name, id }: JobName) => `${name}:${id}`
