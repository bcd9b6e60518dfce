// Jobs that run again and again. A run belongs to a slot, the time since 1970 divided by its interval, and its id is
// <name>:<slot>, whoever starts it: BullMQ's scheduler, a timer here while Redis is away, or the catching up. So one slot
// is one run of all processes that share Redis, and one of each while it is away. The number of the last slot that was run
// is a mark in the state role; it tells after an outage or a stop what was missed, and nothing older than it runs any more.
import { DAY, HOUR, type Now, type StartTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Json } from '../bus/bus.ts'
import { keys } from '../keys.ts'
import type { State } from '../state/state.ts'
import type { JobToRun, SlotRules } from './job-runs.ts'
import type { JobName } from './outbox.ts'
import type { Schedule } from './queue.ts'

const MARK_KEPT_MS = 30 * DAY

export interface Schedules extends SlotRules {
  set(name: string, schedule: Schedule): void
  all(): Iterable<readonly [string, Schedule]>
  slotId(name: string, atMs: number): string
  /** Starts the run that takes the place of all that were missed, where the schedule wants one. */
  catchUp(name: string): Promise<void>
  close(): void
}

export interface SchedulesOptions {
  state: Pick<State, 'mark' | 'marked'>
  /** Adds a run of that schedule. */
  add: (name: string, slotId: string, data: Json) => Promise<void>
  /** Whether nobody else starts runs. */
  isAlone: () => boolean
  /** Whether the marks can be trusted to be all there are. */
  isCertain: () => boolean
  log: Log
  now: Now
  timer: StartTimer
}

export function createSchedules(options: SchedulesOptions): Schedules {
  const { state, add, isAlone, isCertain, log, now, timer } = options
  const schedules = new Map<string, Schedule>()
  const stops = new Map<string, () => void>()

  const slotAt = ({ everyMs }: Schedule, atMs: number) => Math.floor(atMs / everyMs)
  const idOf = (name: string, slot: number) => `${name}:${slot}`

  function slotOf({ name, id }: JobName): number | undefined {
    if (!schedules.has(name) || !id.startsWith(`${name}:`)) return undefined
    const slot = Number(id.slice(name.length + 1))
    return Number.isSafeInteger(slot) ? slot : undefined
  }

  /** Also while Redis has the schedule: it may be away when the time comes. */
  function arm(name: string, schedule: Schedule): void {
    const nowMs = now() // read once: between two readings the next slot may begin
    const next = slotAt(schedule, nowMs) + 1
    const inMs = next * schedule.everyMs - nowMs
    const due = () => {
      if (slotAt(schedule, now()) >= next && isAlone()) void start(name, next, schedule)
      arm(name, schedule)
    }
    stops.set(name, timer(Math.min(inMs, HOUR), due))
  }

  async function start(name: string, slot: number, { data }: Schedule): Promise<void> {
    try {
      await add(name, idOf(name, slot), data)
    } catch (error) {
      log.warn({ job: name, slot, err: error }, 'a run of a schedule could not be added') // memory is full: it is missed
    }
  }

  async function catchUp(name: string): Promise<void> {
    const schedule = schedules.get(name)
    if (!schedule) return
    const slot = slotAt(schedule, now())
    const last = await state.marked(keys.scheduled(name))
    // Nothing is missed of a schedule that begins now; but what Redis may know must not be overwritten unseen.
    if (last === undefined && isCertain()) await state.mark(keys.scheduled(name), slot, MARK_KEPT_MS)
    if (last !== undefined && last < slot && schedule.catchUp === 'once') await start(name, slot, schedule)
  }

  return {
    set(name, schedule) {
      schedules.set(name, schedule)
      arm(name, schedule)
    },
    all: () => schedules,
    slotId: (name, atMs) => {
      const schedule = schedules.get(name)
      return idOf(name, schedule ? slotAt(schedule, atMs) : atMs)
    },
    catchUp,
    keptMs(job) {
      const schedule = slotOf(job) === undefined ? undefined : schedules.get(job.name)
      return schedule && Math.min(4 * DAY, 2 * schedule.everyMs + HOUR)
    },
    async isOver(job: JobToRun) {
      const slot = slotOf(job)
      const schedule = schedules.get(job.name)
      if (slot === undefined || !schedule) return false
      const last = await state.marked(keys.scheduled(job.name))
      if (last !== undefined && last >= slot) return true
      // The next slot has begun: this one fell due while nobody could run it. A later attempt began in time.
      const isLate = job.attempt === 1 && slotAt(schedule, now()) > slot
      if (isLate) await catchUp(job.name)
      return isLate
    },
    async done(job) {
      const slot = slotOf(job)
      if (slot !== undefined) await state.mark(keys.scheduled(job.name), slot, MARK_KEPT_MS)
    },
    close() {
      for (const stop of stops.values()) stop()
    },
  }
}
