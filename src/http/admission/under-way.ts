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
import { type AppError, busy } from '../../errors.ts'
import { budgets } from './budgets.ts'
import type { Client } from './clients.ts'
import { refusalFor } from './refusals.ts'
import { createShares, type Shares } from './shares.ts'

/** An answer that is not taken for so many looks is given up, with its connection. */
const MOST_LOOKS = 15

export interface UnderWay {
  /** Its body, announced as so long, begins to arrive; `fail` ends that. Throws where there are too many. */
  beginBody(announcedBytes: number, fail: (why: AppError) => void): void
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
  announcedBytes: number
  looks: number
}

// On the request itself. A value in a WeakMap that is old lives until old space is collected, with all that it refers
// to, here the whole request: to move that there is most of what collecting garbage costs.
const UNDER_WAY = Symbol('under way')
type Counted = IncomingMessage & { [UNDER_WAY]?: UnderWay }

/** The request's own; undefined outside of a server with admission. */
export const underWayOf = (req: IncomingMessage): UnderWay | undefined => (req as Counted)[UNDER_WAY]

/** `isAnswered` is told of each body that is refused: whether its client is to hear of it. */
export function createRequestsUnderWay(isAnswered: (client: Client) => boolean) {
  const requests = createShares(budgets.requests)
  const bodies = createShares(budgets.bodies)
  const bodyBytes = createShares(budgets.bodyBytes)
  // Of a client what is announced counts, so that it is told before it has sent all of it; of all what has arrived, as
  // else those who announce much would take it from those who send.
  const announced = createShares(budgets.bodyBytes)
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
      if (!victim) return refusalFor(shortage)
      end(victim)
    }
  }

  function forget(entry: Entry): void {
    if (!all.delete(entry)) return
    entry.endBody(false)
    requests.add(entry.client, -1)
  }

  function refusedBody(entry: Entry, why: AppError): AppError {
    if (!isAnswered(entry.client)) entry.connection.destroy()
    return why
  }

  /** Where nothing else of the client is under way, its route says what is too much. */
  function tooMuchAnnounced(client: Client, bytes: number): AppError | undefined {
    if (announced.shortageFor(client, bytes) !== 'client' || announced.heldBy(client) === 0) return undefined
    return refusalFor('client')
  }

  const isWaiting = (entry: Entry) => entry.fail !== undefined || isUnread(entry)

  /** Why it may not be worked on; undefined where it is counted until it is answered. */
  function begin(
    req: IncomingMessage,
    res: ServerResponse,
    client: Client,
    mustAnswer: boolean,
  ): AppError | undefined {
    const { 'content-length': length } = req.headers
    const shortage =
      shortageOf(requests, client, 1, isWaiting) ??
      (length === undefined ? undefined : tooMuchAnnounced(client, Number(length)))
    if (shortage && !mustAnswer) return shortage
    let isArriving = false
    const entry: Entry = {
      client,
      connection: req.socket,
      res,
      fail: undefined,
      keptBytes: 0,
      announcedBytes: 0,
      looks: 0,
      beginBody(announcedBytes, fail) {
        // Its client has gone while others were asked about it: nobody would give back what is counted now.
        if (!all.has(entry)) throw busy()
        // What has come with its head is not arriving: many such requests may be asked about at once.
        isArriving = !req.complete
        const shortage =
          tooMuchAnnounced(client, announcedBytes) ??
          (isArriving ? shortageOf(bodies, client, 1, (one) => one.fail !== undefined) : undefined)
        if (shortage) throw refusedBody(entry, shortage)
        entry.fail = fail
        entry.announcedBytes = announcedBytes
        if (isArriving) bodies.add(client, 1)
        announced.add(client, announcedBytes)
      },
      keep(bytes) {
        const shortage = shortageOf(
          bodyBytes,
          client,
          bytes,
          (one) => one !== entry && one.fail !== undefined,
        )
        if (shortage) return refusedBody(entry, shortage)
        if (entry.fail === undefined) return busy()
        entry.keptBytes += bytes
        bodyBytes.add(client, bytes)
        return undefined
      },
      endBody(isWanted) {
        if (entry.fail && isArriving) bodies.add(client, -1)
        entry.fail = undefined
        if (isWanted) return
        bodyBytes.add(client, -entry.keptBytes)
        announced.add(client, -entry.announcedBytes)
        entry.keptBytes = 0
        entry.announcedBytes = 0
      },
    }
    ;(req as Counted)[UNDER_WAY] = entry
    all.add(entry)
    requests.add(client, 1)
    res.once('close', () => forget(entry))
    return undefined
  }

  return {
    begin,
    /** Whether there is much room, whoever asks. */
    areFew: () => all.size < budgets.requests.inAll / 2,
    /** To be called every two seconds: gives up the answers that nobody takes. */
    look(): void {
      for (const entry of all) {
        if (isUnread(entry)) entry.looks += 1
        if (entry.looks > MOST_LOOKS) end(entry)
      }
    },
  }
}
