// Background jobs in a process of its own, so that it can be killed as the kernel kills. Its jobs have one effect: to
// tell us.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Refusal } from '../../src/core/errors.ts'
import type { JobCounts } from '../../src/core/queue/queue.ts'
import { eventually } from './eventually.ts'

export interface ToChild {
  readonly number: number
  readonly does: 'add' | 'work' | 'counts' | 'pendingWrites' | 'hasRedis'
  readonly given: { name?: string; id?: string; delayMs?: number; concurrency?: number }
}
export type FromChild =
  | { readonly number: number; readonly answer: unknown }
  | { readonly number: number; readonly refusal: string }
  | { readonly effect: string }

export type JobsApart = Awaited<ReturnType<typeof openJobsApart>>

/** `effect` is called with the id of a job each time it takes effect. */
export async function openJobsApart(
  options: { cacheUrl: string; dataDir: string },
  effect: (id: string) => void,
) {
  const child = fork(join(import.meta.dirname, 'jobs-process.ts'), [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>()
  let asked = 0
  child.on('message', (message: FromChild) => {
    if ('effect' in message) return effect(message.effect)
    const { number } = message
    if ('refusal' in message) waiting.get(number)?.reject(new Refusal(message.refusal, 'refused there'))
    else waiting.get(number)?.resolve(message.answer)
    waiting.delete(number)
  })

  function ask<T>(does: ToChild['does'], given: ToChild['given'] = {}): Promise<T> {
    asked += 1
    const number = asked
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve: resolve as (answer: unknown) => void, reject })
      child.send({ number, does, given } satisfies ToChild)
    })
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  await once(child, 'message')
  return {
    /** How long the call took there, in ms of its control clock. */
    add: (name: string, id: string, delayMs = 0) => ask<number>('add', { name, id, delayMs }),
    work: (name: string, concurrency = 1) => ask<void>('work', { name, concurrency }),
    counts: () => ask<JobCounts>('counts'),
    pendingWrites: () => ask<number>('pendingWrites'),
    isThere: (isThere = true) => eventually(async () => expect(await ask('hasRedis')).toBe(isThere)),
    kill,
    close: kill,
  }
}
