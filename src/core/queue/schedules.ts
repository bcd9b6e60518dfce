// Jobs that run on a schedule. A run belongs to a slot, the time since 1970 divided by the interval, and its id is
// <name>:<slot>, whether BullMQ's scheduler, a timer here (while Redis is away) or catching up has started it. So one
// slot is one run of all processes that share Redis, and one run of each process while Redis is away. The last slot
// that was run is a max register in the state role: it tells what was missed in an outage or a stop, and no older
// slot runs any more.
import { DAY, HOUR, type Now, type StartTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import type { Json } from '../bus/bus.ts'
import { isStateUnknown } from '../errors.ts'
import { keys } from '../keys.ts'
import type { State } from '../state/state.ts'
import type { JobToRun, SlotRules } from './job-runs.ts'
import type { JobRef } from './outbox.ts'
import type { Schedule } from './queue.ts'

const LAST_SLOT_KEPT_MS = 30 * DAY

export interface Schedules extends SlotRules {
  set(name: string, schedule: Schedule): void
  all(): Iterable<readonly [string, Schedule]>
  slotId(name: string, atMs: number): string
  /** Starts the one run that replaces all that were missed, where the schedule wants it. */
  catchUp(name: string): Promise<void>
  close(): void
}

export interface SchedulesOptions {
  state: Pick<State, 'mark' | 'marked'>
  /** Adds a run of that schedule. */
  add: (name: string, slotId: string, data: Json) => Promise<unknown>
  /** Whether this process starts the runs of that schedule, because BullMQ's scheduler does not. */
  startsRuns: (name: string) => boolean
  /** Whether every last slot can be read: false while Redis may know more than this process. */
  knowsLastSlots: () => boolean
  log: Log
  now: Now
  timer: StartTimer
}

export function createSchedules(options: SchedulesOptions): Schedules {
  const { state, add, startsRuns, knowsLastSlots, log, now, timer } = options
  const schedules = new Map<string, Schedule>()
  const stops = new Map<string, () => void>()

  const slotAt = ({ everyMs }: Schedule, atMs: number) => Math.floor(atMs / everyMs)
  const idOf = (name: string, slot: number) => `${name}:${slot}`
  const startOf = ({ everyMs }: Schedule, slot: number) => slot * everyMs
  /** Whether that slot or a later one was run; nobody can have done so before it began. */
  const lastSlot = (name: string, schedule: Schedule, slot: number) =>
    state.marked(keys.scheduled(name), { madeAtMs: startOf(schedule, slot) })
  const setLastSlot = (name: string, slot: number) =>
    state.mark(keys.scheduled(name), slot, LAST_SLOT_KEPT_MS)

  function slotOf({ name, id }: JobRef): number | undefined {
    if (!schedules.has(name) || !id.startsWith(`${name}:`)) return undefined
    const slot = Number(id.slice(name.length + 1))
    return Number.isSafeInteger(slot) ? slot : undefined
  }

  /** Runs while BullMQ has the schedule, too: Redis may be away when the time comes. */
  function arm(name: string, schedule: Schedule): void {
    const nowMs = now() // read once: between two readings the next slot may begin
    const next = slotAt(schedule, nowMs) + 1
    const inMs = next * schedule.everyMs - nowMs
    const due = () => {
      const isDue = slotAt(schedule, now()) >= next
      if (isDue && startsRuns(name)) void inBackground(start(name, next, schedule), log)
      arm(name, schedule)
    }
    stops.set(name, timer(Math.min(inMs, HOUR), due))
  }

  async function start(name: string, slot: number, { data }: Schedule): Promise<void> {
    try {
      await add(name, idOf(name, slot), data)
    } catch (error) {
      // The outbox is full, for instance.
      log.warn({ job: name, slot, err: error }, 'a scheduled run could not be added: it is left out')
    }
  }

  async function catchUp(name: string): Promise<void> {
    const schedule = schedules.get(name)
    if (!schedule) return
    const slot = slotAt(schedule, now())
    const last = await lastSlot(name, schedule, slot).catch(unknownIfUnknown)
    if (last === 'unknown') return // again when Redis has been read
    // A new schedule has missed nothing; but what Redis may know is not overwritten unread.
    if (last === undefined && knowsLastSlots()) await setLastSlot(name, slot)
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
    madeAtMs(job) {
      const [slot, schedule] = [slotOf(job), schedules.get(job.name)]
      return slot === undefined ? undefined : schedule && startOf(schedule, slot)
    },
    keptMs(job) {
      const schedule = slotOf(job) === undefined ? undefined : schedules.get(job.name)
      return schedule && Math.min(4 * DAY, 2 * schedule.everyMs + HOUR)
    },
    async isOver(job: JobToRun) {
      const slot = slotOf(job)
      const schedule = schedules.get(job.name)
      if (slot === undefined || !schedule) return false
      const last = await lastSlot(job.name, schedule, slot)
      if (last !== undefined && last >= slot) return true
      // The next slot has begun: nobody could run this one in time. A later attempt started in time.
      const isLate = job.attempt === 1 && slotAt(schedule, now()) > slot
      if (isLate) await catchUp(job.name)
      return isLate
    },
    async done(job) {
      const slot = slotOf(job)
      if (slot !== undefined) await setLastSlot(job.name, slot)
    },
    close() {
      for (const stop of stops.values()) stop()
    },
  }
}

function unknownIfUnknown(error: unknown): 'unknown' {
  if (!isStateUnknown(error)) throw error
  return 'unknown'
}
