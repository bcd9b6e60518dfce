// A gate that can be closed without cutting a piece of work in two: what is inside may finish, within a bound.
// A task (a request, a run of a job) is inside from its first call until its end; a call outside of tasks only for
// itself.
//
//   open ──close──► closing: only tasks that are inside ──they ended, or time is up──► closed: nobody ──open──► open
import { AsyncLocalStorage } from 'node:async_hooks'
import { startTimer } from '../time.ts'

interface Task {
  hasEnded: boolean
  /** Of each gate that it is inside. */
  readonly leave: (() => void)[]
}

const tasks = new AsyncLocalStorage<Task>()

/** Runs work whose calls belong together; it calls `end` when it is over. */
export function asTask<T>(work: (end: () => void) => T): T {
  const task: Task = { hasEnded: false, leave: [] }
  return tasks.run(task, work, () => {
    task.hasEnded = true
    for (const leave of task.leave.splice(0)) leave()
  })
}

export interface DrainGate {
  isOpen(): boolean
  /** The call's answer. Rejects with the gate's refusal when it may not begin, or ended after the gate was closed. */
  pass<T>(call: () => Promise<T>): Promise<T>
  open(): void
  /** Lets nobody in from now on. Calls back when those inside have ended, or after this time: then nobody is inside. */
  close(withinMs: number, closed: () => void): void
}

export function createDrainGate(refusal: () => Error, isOpen = true): DrainGate {
  const inside = new Set<object>()
  let state: 'open' | 'closing' | 'closed' = isOpen ? 'open' : 'closed'
  let closings = 0
  let emptied = () => {}

  function leave(one: object): void {
    inside.delete(one)
    if (inside.size === 0) emptied()
  }

  /** Who stays inside for the length of the call; undefined for a call of a task that is inside anyway. */
  function enter(): object | undefined {
    const task = tasks.getStore()
    const isInside = task !== undefined && inside.has(task)
    if (state === 'closed' || (state === 'closing' && !isInside)) throw refusal()
    if (isInside) return undefined
    if (!task || task.hasEnded) {
      const call = {}
      inside.add(call)
      return call
    }
    inside.add(task)
    task.leave.push(() => leave(task))
    return undefined
  }

  return {
    isOpen: () => state === 'open',
    async pass(call) {
      const own = enter()
      const before = closings
      try {
        const answer = await call()
        if (closings !== before) throw refusal()
        return answer
      } finally {
        if (own) leave(own)
      }
    },
    open() {
      state = 'open'
    },
    close(withinMs, closed) {
      state = 'closing'
      const shut = () => {
        stopTimer()
        emptied = () => {}
        state = 'closed'
        closings += 1
        inside.clear()
        closed()
      }
      const stopTimer = startTimer(withinMs, shut)
      emptied = shut
      if (inside.size === 0) shut()
    },
  }
}
