// A subject in a process of its own, so that it can be killed as the kernel kills: without a word.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { NobodyAnswered, type OpenSubject, type Subject, type SubjectOptions } from './subject.ts'

export type Method = Exclude<keyof Subject, 'status' | 'isSettled' | 'close' | 'kill'>

export type ToChild =
  | { open: SubjectOptions }
  | { call: number; method: Method; args: (string | number)[] }
  | { loaded: number; value: string }
  | { end: true }

export type FromChild =
  | { status: ReturnType<Subject['status']>; isSettled: boolean }
  | { answered: number; value: unknown }
  | { failed: number; message: string; code: string | undefined }
  | { load: number }

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
  load?(): Promise<string>
}

export const openSamovarApart: OpenSubject = async (options) => {
  const child: ChildProcess = fork(join(import.meta.dirname, 'apart-process.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, Waiting>()
  let calls = 0
  let last: { status: ReturnType<Subject['status']>; isSettled: boolean } = {
    status: 'memory',
    isSettled: false,
  }
  let isAlive = true

  const send = (message: ToChild) => {
    if (isAlive) child.send(message, () => {}) // an error here is its death, and 'exit' tells of that
  }

  child.on('message', (message: FromChild) => {
    if ('status' in message) last = message
    else if ('load' in message) {
      void waiting
        .get(message.load)
        ?.load?.()
        .then((value) => send({ loaded: message.load, value }))
    } else {
      const number = 'answered' in message ? message.answered : message.failed
      const call = waiting.get(number)
      waiting.delete(number)
      if ('answered' in message) call?.resolve(message.value)
      else call?.reject(Object.assign(new Error(message.message), { code: message.code }))
    }
  })
  child.once('exit', () => {
    isAlive = false
    last = { status: 'memory', isSettled: false }
    for (const { reject } of waiting.values()) reject(new NobodyAnswered())
    waiting.clear()
  })

  function call<T>(method: Method, args: (string | number)[], load?: () => Promise<string>): Promise<T> {
    if (!isAlive) return Promise.reject(new NobodyAnswered())
    calls += 1
    const number = calls
    return new Promise<T>((resolve, reject) => {
      waiting.set(number, { resolve: resolve as (value: unknown) => void, reject, ...(load && { load }) })
      send({ call: number, method, args })
    })
  }

  async function ended(): Promise<void> {
    if (isAlive) await once(child, 'exit')
  }

  send({ open: options })
  await once(child, 'message') // its first status
  return {
    readSession: (key) => call('readSession', [key]),
    writeSession: (key, text) => call('writeSession', [key, text]),
    destroySession: (key) => call('destroySession', [key]),
    claim: (key, who) => call('claim', [key, who]),
    hit: (key, id) => call('hit', [key, id]),
    mark: (key, number) => call('mark', [key, number]),
    marked: (key) => call('marked', [key]),
    readCached: (key, load) => call('readCached', [key], load),
    invalidate: (key) => call('invalidate', [key]),
    clear: () => call('clear', []),
    status: () => last.status,
    isSettled: () => last.isSettled,
    async close() {
      send({ end: true })
      await ended()
    },
    async kill() {
      child.kill('SIGKILL')
      await ended()
    },
  }
}
