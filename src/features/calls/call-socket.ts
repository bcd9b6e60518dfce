// One socket's life: its messages are parsed, limited, and passed on to its seat; what the seat is told is written.
//
//   open → joined → open …    by `join` and `leave`, one room at a time
//   any → closing             by a refusal, a stop, a slow or silent client; nothing it sends counts from then on
//   closing → closed          at the latest a moment later: then the seat, if it was not left, is let go

import type { RawData, WebSocket } from 'ws'
import { Refusal } from '../../core/errors.ts'
import { type Now, pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { CallLimits } from './call-limits.ts'
import {
  type ClientMessage,
  type ErrorCode,
  MESSAGE_BYTES,
  parseClientMessage,
  type ServerMessage,
} from './protocol.ts'
import { peerOfToken, resumeToken } from './resume-token.ts'
import type { Rooms } from './room.ts'
import type { Seat } from './seat.ts'

export const MOST_BAD_MESSAGES = 10
/** A client that has not taken so much of what it was sent will not catch up. */
const MOST_UNSENT_BYTES = 1024 * 1024
/** Where all clients together have not taken so much, one that is behind at all is too slow. */
const MOST_UNSENT_BYTES_IN_ALL = 8 * 1024 * 1024
const BEHIND_BYTES = 64 * 1024
/** So many messages of a socket are carried out, or so many bytes of all sockets; then no more are read of it until they are. */
const MOST_WAITING = 32
const MOST_WAITING_BYTES_IN_ALL = 4 * 1024 * 1024
const CLOSING_MS = SECOND
const GOODBYES: readonly number[] = [1000, 1001] // the page was closed, not the network lost
/** Whom we send away does not keep the seat. */
const SENT_AWAY: readonly ByeReason[] = ['refused', 'logged_out']

/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 and the registry of IANA after it; 4000 and more are ours. */
export const CLOSE = {
  unsupported: 1003,
  refused: 1008,
  failed: 1011,
  restart: 1012,
  tooSlow: 1013,
  taken: 4001,
} as const

type ByeReason = Extract<ServerMessage, { type: 'bye' }>['reason']

/** Who is at the other end: somebody logged in, or the guest of one room. */
export interface Caller {
  /** Of the login; undefined for a guest, who may choose. */
  readonly name: string | undefined
  /** Whose messages are counted together; undefined where nobody can be told apart. */
  readonly client: string | undefined
  mayJoin(room: string): boolean
}

export interface CallSocketParts {
  rooms: Rooms
  limits: CallLimits
  secrets: readonly string[]
  iceServers: Extract<ServerMessage, { type: 'joined' }>['iceServers']
  log: Log
  now: Now
}

export interface CallSocket {
  /** Whether it has a seat, so that it may be silent. */
  isJoined(): boolean
  close(code: number, reason: ByeReason): void
}

const texts = new WeakMap<ServerMessage, string>()

/** What goes to a whole room is one message there, and becomes text once. */
function textOf(message: ServerMessage): string {
  const known = texts.get(message)
  const text = known ?? JSON.stringify(message)
  if (!known && message.type === 'said') texts.set(message, text)
  return text
}

export function runCallSocket(socket: WebSocket, caller: Caller, parts: CallSocketParts): CallSocket {
  const { rooms, limits, secrets, iceServers, log, now } = parts
  const { allowsMessage, allowsJoin } = limits.forSocket(caller.client)
  const { gate, held } = limits
  const isGuest = caller.name === undefined
  let seat: Seat | undefined
  let room = ''
  let isClosing = false
  let isUnwanted = false
  let badMessages = 0
  let waiting = 0
  let unsentBytes = 0
  let work = Promise.resolve() // one message after another: a signal that follows a join finds its seat

  function tell(message: ServerMessage): void {
    if (isClosing || socket.readyState !== socket.OPEN) return
    const text = textOf(message)
    countUnsent(text.length)
    socket.send(text, () => countUnsent(-text.length))
    const isTooSlow =
      socket.bufferedAmount > MOST_UNSENT_BYTES ||
      (held.unsentBytes > MOST_UNSENT_BYTES_IN_ALL && socket.bufferedAmount > BEHIND_BYTES)
    if (isTooSlow) end(CLOSE.tooSlow)
  }

  function countUnsent(bytes: number): void {
    if (socket.readyState === socket.CLOSED) return // `letGo` has counted
    unsentBytes += bytes
    held.unsentBytes += bytes
  }

  const refuse = (code: ErrorCode) => tell({ type: 'error', code })

  function end(code: number): void {
    if (isClosing) return
    isClosing = true
    socket.close(code)
    void pause(CLOSING_MS).then(() => socket.terminate())
  }

  function close(code: number, reason: ByeReason): void {
    isUnwanted ||= SENT_AWAY.includes(reason)
    tell({ type: 'bye', reason })
    end(code)
  }

  function refuseAndClose(code: ErrorCode): void {
    refuse(code)
    close(CLOSE.refused, 'refused')
  }

  const failed = (error: unknown) => log.error({ err: error }, 'a call failed where nobody waits for it')

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
        close(CLOSE.taken, 'taken')
      },
      failed,
    }
    const entry = {
      room,
      name: caller.name ?? name,
      returning: resume === undefined ? undefined : peerOfToken(resume, { room, isGuest }, now(), secrets),
      since,
      listener,
    }
    seat = await rooms.join(entry, (taken, welcome) => {
      seat = taken // what follows the welcome may end it
      const you = { id: taken.id, name: taken.name, resume: freshToken(taken.id) }
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

  function answerPing(): void {
    tell({ type: 'pong', ...(seat && { resume: freshToken(seat.id), ...seat.position() }) })
  }

  async function leave(left: Seat): Promise<void> {
    seat = undefined
    await left.leave()
  }

  async function carryOutOrRefuse(message: ClientMessage, sizeBytes: number): Promise<void> {
    await gate.enter(sizeBytes)
    try {
      if (!isClosing) await carryOut(message)
    } catch (error) {
      if (!(error instanceof Refusal)) {
        log.error({ err: error, message: message.type }, 'a call socket failed')
        return end(CLOSE.failed)
      }
      refuse('unavailable')
    } finally {
      gate.leave(sizeBytes)
      held.waitingBytes -= sizeBytes
    }
    waiting -= 1
    if (waiting === 0 && socket.isPaused) socket.resume()
  }

  function hear(bytes: RawData, isBinary: boolean): void {
    if (isClosing) return
    const sizeBytes = (bytes as Buffer).byteLength
    if (!allowsMessage(sizeBytes)) refuseAndClose('too_many_messages')
    else if (isBinary) close(CLOSE.unsupported, 'refused')
    else queue(parseClientMessage(bytes.toString()), sizeBytes)
  }

  function queue(message: ClientMessage | undefined, sizeBytes: number): void {
    if (message) {
      waiting += 1
      held.waitingBytes += sizeBytes
      if (waiting >= MOST_WAITING || held.waitingBytes > MOST_WAITING_BYTES_IN_ALL) socket.pause()
      work = work.then(() => carryOutOrRefuse(message, sizeBytes))
    } else refuseBadMessage()
  }

  function refuseBadMessage(): void {
    badMessages += 1
    if (badMessages < MOST_BAD_MESSAGES) refuse('bad_message')
    else refuseAndClose('bad_message')
  }

  function letGo(code: number): void {
    isClosing = true
    held.unsentBytes -= unsentBytes
    work = work
      .then(() => {
        if (seat && (isUnwanted || GOODBYES.includes(code))) return leave(seat)
        seat?.letGo()
        return undefined
      })
      .catch(failed)
  }

  socket.on('message', hear)
  socket.on('close', letGo)
  socket.on('error', (error) =>
    log.debug({ err: error, mostBytes: MESSAGE_BYTES }, 'a call socket was refused'),
  )
  return { isJoined: () => seat !== undefined, close }
}
