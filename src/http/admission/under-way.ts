// The requests under way, and what of their bodies is held.
//
//   working → reading → working     while its body arrives
//   working → unread                answered, and the client does not take it
//   any → gone                      its connection took the answer, or closed
//
// One that is reading or unread waits for its client. Where all requests, bodies or bytes are too many, the one that
// waits longest of the client that holds most is ended for the newcomer.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type AppError, busy, tooManyAtOnce } from '../../errors.ts'
import { budgets } from './budgets.ts'
import type { Client } from './clients.ts'
import { createShares, type Shares } from './shares.ts'

/** An answer that is not taken for so many looks is given up, with its connection. */
const MOST_LOOKS = 15

export interface UnderWay {
  /** Why it may not be worked on. */
  readonly refusal: AppError | undefined
  /** Its body begins to arrive; `fail` ends that. Throws where there are too many. */
  beginBody(fail: (why: AppError) => void): void
  /** Before so many bytes more are kept: the refusal, if they may not be. */
  keep(bytes: number): AppError | undefined
  /** All of it is here, or no more of it is wanted: then nothing is kept. */
  endBody(isWanted: boolean): void
}

interface Entry extends UnderWay {
  readonly client: Client
  readonly connection: Socket
  readonly res: ServerResponse
  fail: ((why: AppError) => void) | undefined
  keptBytes: number
  looks: number
}

const entries = new WeakMap<IncomingMessage, UnderWay>()

/** The request's own; undefined outside of a server with admission. */
export const underWayOf = (req: IncomingMessage): UnderWay | undefined => entries.get(req)

export function createRequestsUnderWay() {
  const requests = createShares(budgets.requests)
  const bodies = createShares(budgets.bodies)
  const bodyBytes = createShares(budgets.bodyBytes)
  const all = new Set<Entry>()

  const isUnread = ({ res }: Entry) => res.writableEnded && !res.writableFinished

  function waitingOf(shares: Shares, newcomer: Client, isCandidate: (entry: Entry) => boolean) {
    let worst: Entry | undefined
    let most = shares.heldBy(newcomer) - 1 // ended for a newcomer who holds no more
    for (const entry of all) {
      if (!isCandidate(entry) || shares.heldBy(entry.client) <= most) continue
      worst = entry
      most = shares.heldBy(entry.client)
    }
    return worst
  }

  function end(entry: Entry): void {
    if (entry.fail) entry.fail(busy())
    else entry.connection.destroy()
    forget(entry)
  }

  /** Room for so much more of the client; the refusal where there is none, nor can be made. */
  function shortageOf(
    shares: Shares,
    client: Client,
    amount: number,
    isCandidate: (entry: Entry) => boolean,
  ): AppError | undefined {
    for (;;) {
      const shortage = shares.shortageFor(client, amount)
      if (shortage === undefined) return undefined
      const victim = shortage === 'all' ? waitingOf(shares, client, isCandidate) : undefined
      if (!victim) return shortage === 'client' ? tooManyAtOnce() : busy()
      end(victim)
    }
  }

  function forget(entry: Entry): void {
    if (!all.delete(entry)) return
    entry.endBody(false)
    if (!entry.refusal) requests.add(entry.client, -1)
  }

  function begin(req: IncomingMessage, res: ServerResponse, client: Client, mustAnswer: boolean): void {
    const frees = (one: Entry) => !one.refusal && (one.fail !== undefined || isUnread(one))
    const shortage = shortageOf(requests, client, 1, frees)
    const refusal = mustAnswer ? undefined : shortage
    const entry: Entry = {
      refusal,
      client,
      connection: req.socket,
      res,
      fail: undefined,
      keptBytes: 0,
      looks: 0,
      beginBody(fail) {
        // Its client has gone while others were asked about it: nobody would give back what is counted now.
        if (!all.has(entry)) throw busy()
        const shortage = shortageOf(bodies, client, 1, (one) => one.fail !== undefined)
        if (shortage) throw shortage
        entry.fail = fail
        bodies.add(client, 1)
      },
      keep(bytes) {
        const shortage = shortageOf(
          bodyBytes,
          client,
          bytes,
          (one) => one !== entry && one.fail !== undefined,
        )
        if (shortage || entry.fail === undefined) return shortage ?? busy()
        entry.keptBytes += bytes
        bodyBytes.add(client, bytes)
        return undefined
      },
      endBody(isWanted) {
        if (entry.fail) bodies.add(client, -1)
        entry.fail = undefined
        if (isWanted) return
        bodyBytes.add(client, -entry.keptBytes)
        entry.keptBytes = 0
      },
    }
    entries.set(req, entry)
    all.add(entry)
    if (!refusal) requests.add(client, 1)
    res.once('close', () => forget(entry))
  }

  return {
    begin,
    /** To be called every two seconds: gives up the answers that nobody takes. */
    look(): void {
      for (const entry of all) {
        if (isUnread(entry)) entry.looks += 1
        if (entry.looks > MOST_LOOKS) end(entry)
      }
    },
  }
}
