// What is told to who is refused, made once for all: a flood must cost nothing. And how often each client is refused
// within a second: beyond a bound it is not answered any more for the rest of it.
import { STATUS_CODES } from 'node:http'
import { type AppError, busy, tooManyAtOnce } from '../../errors.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import { problemDocument } from '../problem.ts'
import type { Budget } from './budgets.ts'
import type { Client } from './clients.ts'
import { createShares, type Shortage } from './shares.ts'

const refusals = { client: tooManyAtOnce(), all: busy() } as const

export const refusalFor = (shortage: Shortage | undefined): AppError | undefined =>
  shortage && refusals[shortage]

const answers = new WeakMap<AppError, Buffer>()

/** The whole answer, for a connection that carries nothing after it. */
export function answerOf(problem: AppError): Buffer {
  const known = answers.get(problem)
  if (known) return known
  const made = answerTo(problem)
  answers.set(problem, made)
  return made
}

/** The same for one request. */
export function answerTo(problem: AppError, requestId?: string): Buffer {
  const body = JSON.stringify(problemDocument(problem, { id: requestId }))
  const headers = {
    'Content-Type': 'application/problem+json',
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
