// What a socket of calls says and hears: its messages are parsed and passed to its seat; what the seat is told is sent.
//
//   open → joined → open …   by `join` and `leave`, one room at a time
//   any → closed             a client that says goodbye or is sent away leaves its seat; else it is kept for a while

import { Refusal } from '../../core/errors.ts'
import { CLOSE, type EndReason, type Socket, type SocketEvents } from '../../http/sockets/open-socket.ts'
import type { Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { AllowsJoin } from './call-limits.ts'
import { type ClientMessage, type ErrorCode, parseClientMessage, type ServerMessage } from './protocol.ts'
import type { Rooms } from './room.ts'
import type { Seat } from './seat.ts'
import { peerOfToken, resumeToken } from './tokens/resume-token.ts'

const MOST_BAD_MESSAGES = 10
const GOODBYES: readonly number[] = [1000, 1001] // the page was closed, not the network lost
const TAKEN = 4001
/** A client that we send away does not keep the seat. */
const SENT_AWAY: readonly ByeReason[] = ['refused', 'logged_out']

type ByeReason = Extract<ServerMessage, { type: 'bye' }>['reason']

/** Who is at the other end: a logged-in user, or the guest of one room. */
export interface Caller {
  /** Of the login; undefined for a guest, who may choose. */
  readonly name: string | undefined
  mayJoin(room: string): boolean
}

export interface CallSocketParts {
  rooms: Rooms
  secrets: readonly string[]
  iceServers: Extract<ServerMessage, { type: 'joined' }>['iceServers']
  log: Log
  now: Now
}

const texts = new WeakMap<ServerMessage, string>()

/** What goes to a whole room is one message there, and becomes text once. */
function textOf(message: ServerMessage): string {
  const known = texts.get(message)
  const text = known ?? JSON.stringify(message)
  if (!known && message.type === 'said') texts.set(message, text)
  return text
}

export function runCallSocket(
  socket: Socket,
  caller: Caller,
  allowsJoin: AllowsJoin,
  { rooms, secrets, iceServers, log, now }: CallSocketParts,
): SocketEvents {
  const isGuest = caller.name === undefined
  let seat: Seat | undefined
  let room = ''
  let isUnwanted = false
  let badMessages = 0

  const tell = (message: ServerMessage) => void socket.send(textOf(message))
  const refuse = (code: ErrorCode) => tell({ type: 'error', code })

  function lastWords(reason: ByeReason, code?: ErrorCode): string[] {
    isUnwanted ||= SENT_AWAY.includes(reason)
    const error: ServerMessage[] = code ? [{ type: 'error', code }] : []
    return [...error, { type: 'bye' as const, reason }].map(textOf)
  }

  const refuseAndClose = (code: ErrorCode) => socket.close(CLOSE.refused, ...lastWords('refused', code))

  const failed = (error: unknown) =>
    log.error({ err: error }, 'a seat in a call failed; its client may join again')

  const freshToken = (peer: string) => resumeToken({ room, isGuest, peer }, now(), secrets)

  async function join(message: Extract<ClientMessage, { type: 'join' }>): Promise<void> {
    if (seat) return refuse('already_joined')
    if (!allowsJoin()) return refuseAndClose('too_many_joins')
    if (!caller.mayJoin(message.room)) return refuse('room_closed_to_you')
    room = message.room
    const { name = '', resume, since } = message
    const listener = {
      tell,
      taken() {
        seat = undefined
        socket.close(TAKEN, ...lastWords('taken'))
      },
      failed,
    }
    const entry = {
      room,
      name: caller.name ?? name,
      guest: isGuest,
      returning: resume === undefined ? undefined : peerOfToken(resume, { room, isGuest }, now(), secrets),
      since,
      listener,
    }
    seat = await rooms.join(entry, (taken, welcome) => {
      seat = taken // what follows the welcome may end it
      const you = { id: taken.id, name: taken.name, guest: isGuest, resume: freshToken(taken.id) }
      tell({ type: 'joined', you, ...welcome, iceServers })
    })
    if (!seat) refuse('room_full')
  }

  async function carryOut(message: ClientMessage): Promise<void> {
    if (message.type === 'join') await join(message)
    else if (message.type === 'ping') answerPing()
    else if (!seat) refuse('not_joined')
    else if (message.type === 'say') await seat.say(message.data)
    else if (message.type === 'leave') await leave(seat)
    else if (!(await seat.signal(message.to, message.data, message.n))) refuse('no_such_peer')
  }

  async function carryOutOrRefuse(message: ClientMessage): Promise<void> {
    try {
      await carryOut(message)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      refuse('unavailable')
    }
  }

  function answerPing(): void {
    tell({ type: 'pong', ...(seat && { resume: freshToken(seat.id), ...seat.position() }) })
  }

  async function leave(left: Seat): Promise<void> {
    seat = undefined
    await left.leave()
  }

  return {
    receive(text) {
      const message = parseClientMessage(text)
      if (message) return () => carryOutOrRefuse(message)
      badMessages += 1
      if (badMessages < MOST_BAD_MESSAGES) refuse('bad_message')
      else refuseAndClose('bad_message')
      return undefined
    },
    lastWords: (reason: EndReason) =>
      reason === 'too_many_messages'
        ? lastWords('refused', reason)
        : lastWords(reason === 'binary' ? 'refused' : reason),
    isIdle: () => seat === undefined,
    closed(code) {
      if (seat && (isUnwanted || GOODBYES.includes(code))) return leave(seat)
      seat?.letGo()
      return undefined
    },
  }
}
