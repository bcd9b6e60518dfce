// What is told to who is refused, made once for all: a flood must cost nothing. And how often each client is refused
// within a second: beyond a bound it is not answered any more for the rest of it.
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import { type AppError, busy, tooManyAtOnce } from '../../errors.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import { problemDocument } from '../problem.ts'
import type { Budget } from './budgets.ts'
import type { Client } from './clients.ts'
import { createShares, type Shortage } from './shares.ts'

const refusals = { client: tooManyAtOnce(), all: busy() } as const

export const refusalFor = (shortage: Shortage | undefined): AppError | undefined =>
  shortage && refusals[shortage]

const answers = { document: new WeakMap<AppError, Buffer>(), page: new WeakMap<AppError, Buffer>() }

/** The whole answer, for a connection that carries nothing after it. */
export function answerOf(problem: AppError, form: keyof typeof answers = 'document'): Buffer {
  const known = answers[form].get(problem)
  if (known) return known
  const made =
    form === 'page' ? answerWith(problem, 'text/html; charset=utf-8', pageOf(problem)) : answerTo(problem)
  answers[form].set(problem, made)
  return made
}

/** As browsers ask for what a person is to see. Only a look at how the texts begin: a flood must cost nothing. */
export const isForPerson = ({ url = '', headers: { accept } }: IncomingMessage): boolean =>
  accept?.startsWith('text/html') === true && !/^\/+(api|static|ws)(\/|\?|$)/i.test(url)

/** Bare, and the same for all: neither the language nor who asks is looked for. */
const pageOf = ({ message }: AppError) => `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Too much at once</title><main><h1>Too much at once</h1><p>${message} Please try again in a moment.</p>
<p lang="ru">Слишком много запросов одновременно. Попробуйте ещё раз чуть позже.</p></main></html>`

/** The same for one request. */
export function answerTo(problem: AppError, requestId?: string): Buffer {
  const body = JSON.stringify(problemDocument(problem, { id: requestId }))
  return answerWith(problem, 'application/problem+json', body)
}

function answerWith(problem: AppError, type: string, body: string): Buffer {
  const headers = {
    'Content-Security-Policy': "default-src 'none'",
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...problem.headers,
    Connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const { status } = problem
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`)
}

export interface CountASecond {
  /** Counts one more, or tells whose share of this second has no room for it. */
  take(client: Client): Shortage | undefined
  /** Whether the client's share of this second is used up. */
  isUsedUp(client: Client): boolean
}

export function createCountASecond(budget: Budget, now: Now = Date.now): CountASecond {
  let shares = createShares(budget)
  let sinceMs = now()

  const isUsedUp = (client: Client) => shares.shortageFor(client, 1) === 'client'

  function turnOver(): void {
    const atMs = now()
    if (atMs >= sinceMs && atMs - sinceMs < SECOND) return
    shares = createShares(budget)
    sinceMs = atMs
  }

  return {
    take(client) {
      turnOver()
      const shortage = shares.shortageFor(client, 1)
      if (!shortage) shares.add(client, 1)
      return shortage
    },
    isUsedUp(client) {
      if (!isUsedUp(client)) return false // no look at the clock for each connection
      turnOver()
      return isUsedUp(client)
    },
  }
}
