// One open WebSocket: what is sent to it waits within bounds, what it sends is carried out in order, and it ends once.
//
//   open → closing     by `close`, a stop, or a client that is idle, logged out, too slow or sends too much; what it
//                      sends then is ignored
//   closing → closed   a second later at the latest; `closed` is called after the work that is still under way
import type { RawData, WebSocket } from 'ws'
import type { Bus, Json, Position } from '../../core/bus/bus.ts'
import type { Gate } from '../../lib/async/gate.ts'
import { pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { SocketLimit } from './socket-limits.ts'

/** A client that has not taken so much of what it was sent will not catch up. */
const MOST_UNSENT_BYTES = 1024 * 1024
/** Where all clients together have not taken so much, one that is behind at all is too slow. */
const MOST_UNSENT_BYTES_IN_ALL = 8 * 1024 * 1024
const BEHIND_BYTES = 64 * 1024
/** So many messages of a socket, or so many bytes of all sockets, may wait; then no more are read of it. */
const MOST_WAITING = 32
const MOST_WAITING_BYTES_IN_ALL = 4 * 1024 * 1024
const CLOSING_MS = SECOND

/** rfc-editor.org/rfc/rfc6455#section-7.4.1 and IANA's registry; codes from 4000 on are the features'. */
export const CLOSE = { unsupported: 1003, refused: 1008, failed: 1011, restart: 1012, tooSlow: 1013 } as const

/** Why the app, and not its feature, ends a socket. */
export type EndReason = 'restart' | 'logged_out' | 'idle' | 'too_many_messages' | 'binary'

/** What its client still sends would cost as much as what it was ended for: it is not read. */
const ABUSES: ReadonlySet<EndReason> = new Set(['too_many_messages', 'binary'])

const END_CODES: Record<EndReason, number> = {
  restart: CLOSE.restart,
  logged_out: CLOSE.refused,
  idle: CLOSE.refused,
  too_many_messages: CLOSE.refused,
  binary: CLOSE.unsupported,
}

/** What a feature does with its end of the socket. */
export interface SocketEvents {
  /** Looks at a message, and returns the work that it makes; without this, what clients send is ignored. */
  receive?(text: string, sizeBytes: number): (() => Promise<void>) | undefined
  /** What the client is told before it is closed for that reason. */
  lastWords?(reason: EndReason): readonly string[]
  /** Whether nothing has come of it: then it is closed after two heartbeats. */
  isIdle?(): boolean
  closed?(code: number): void | Promise<void>
}

/** The app's end of the socket, for its feature. */
export interface Socket {
  /** The position that the client gave as `?since=`, to resume from. */
  readonly since: Position | undefined
  /** Resolves where the client takes it slowly; undefined: nothing to wait for. A closing socket ignores it. */
  send(text: string): Promise<void> | undefined
  close(code: number, ...lastWords: readonly string[]): void
  /**
   * Sends what the channel says, until the socket closes. From `since` on if given, else from now on. By default a
   * message is `{ type: 'message', data, since }`, and `{ type: 'missed', since }` says that some may be missing.
   */
  follow(channel: string, options?: Follow): Promise<void>
}

export interface Follow {
  readonly since?: Position | undefined
  message?(data: Json, since: string): string
  missed?(since: string): string
}

/** What all sockets of a route hold together. */
export interface Held {
  waitingBytes: number
  unsentBytes: number
  /** Through which the work of all goes, by the bytes of the messages. */
  readonly gate: Gate
}

export interface OpenSocketParts {
  path: string
  bus: Pick<Bus, 'subscribe'>
  held: Held
  allowsMessage: SocketLimit['allowsMessage']
  since: Position | undefined
  open(socket: Socket): SocketEvents | Promise<SocketEvents>
  log: Log
}

export interface OpenSocket {
  end(reason: EndReason): void
  isIdle(): boolean
}

export function openSocket(ws: WebSocket, parts: OpenSocketParts): OpenSocket {
  const { path, bus, held, allowsMessage, since, log } = parts
  const closers: (() => void)[] = []
  let events: SocketEvents = {}
  let isClosing = false
  let waiting = 0
  let unsentBytes = 0
  let work = Promise.resolve() // one message after another

  const failed = (error: unknown) =>
    log.error({ err: error, path }, 'a WebSocket failed; its client may connect again')

  function send(text: string): Promise<void> | undefined {
    if (isClosing || ws.readyState !== ws.OPEN) return undefined
    countUnsent(text.length)
    const isTaken = new Promise<void>((taken) => {
      ws.send(text, () => {
        countUnsent(-text.length)
        taken()
      })
    })
    const isTooSlow =
      ws.bufferedAmount > MOST_UNSENT_BYTES ||
      (held.unsentBytes > MOST_UNSENT_BYTES_IN_ALL && ws.bufferedAmount > BEHIND_BYTES)
    if (isTooSlow) finish(CLOSE.tooSlow)
    return ws.bufferedAmount > BEHIND_BYTES ? isTaken : undefined
  }

  function countUnsent(bytes: number): void {
    if (ws.readyState === ws.CLOSED) return // `letGo` has counted
    unsentBytes += bytes
    held.unsentBytes += bytes
  }

  function finish(code: number, isDeaf = false): void {
    if (isClosing) return
    isClosing = true
    ws.close(code)
    // Not before `ws` has continued to read what it then drops.
    if (isDeaf) setImmediate(() => ws.pause())
    void pause(CLOSING_MS).then(() => ws.terminate())
  }

  function broken(error: unknown): void {
    failed(error)
    finish(CLOSE.failed)
  }

  function close(code: number, ...lastWords: readonly string[]): void {
    for (const text of lastWords) void send(text)
    finish(code)
  }

  function end(reason: EndReason): void {
    for (const text of events.lastWords?.(reason) ?? []) void send(text)
    finish(END_CODES[reason], ABUSES.has(reason))
  }

  async function follow(channel: string, options: Follow = {}): Promise<void> {
    const {
      message = (data, after) => JSON.stringify({ type: 'message', data, since: after }),
      missed = (after) => JSON.stringify({ type: 'missed', since: after }),
    } = options
    const tellGap = (to: Position) => send(missed(textOf(to)))
    let hasBegun = () => {}
    const begun = new Promise<void>((resolve) => {
      hasBegun = resolve
    })
    let isFollowing = false
    const inOrder = (tell: () => Promise<void> | undefined) => (isFollowing ? tell() : begun.then(tell))
    const subscription = await bus.subscribe(
      channel,
      {
        message: (one) => inOrder(() => send(message(one.data, textOf(one)))),
        gap: ({ to }) => inOrder(() => tellGap(to)),
      },
      options.since,
    )
    if (options.since && !subscription.recovered) await tellGap(subscription.position)
    for (const one of subscription.missed) await send(message(one.data, textOf(one)))
    isFollowing = true
    hasBegun()
    if (ws.readyState === ws.CLOSED) subscription.close()
    else closers.push(subscription.close)
  }

  async function carryOut(task: () => Promise<void>, sizeBytes: number): Promise<void> {
    await held.gate.enter(sizeBytes)
    try {
      if (!isClosing) await task()
    } catch (error) {
      broken(error)
    } finally {
      held.gate.leave(sizeBytes)
      held.waitingBytes -= sizeBytes
    }
    waiting -= 1
    if (waiting === 0 && ws.isPaused) ws.resume()
  }

  function hear(bytes: RawData, isBinary: boolean): void {
    if (isClosing) return
    const sizeBytes = (bytes as Buffer).byteLength
    if (!allowsMessage(sizeBytes)) end('too_many_messages')
    else if (isBinary) end('binary')
    else {
      try {
        line(events.receive?.(bytes.toString(), sizeBytes), sizeBytes)
      } catch (error) {
        broken(error) // a feature's bug ends its socket, not the process
      }
    }
  }

  function line(task: (() => Promise<void>) | undefined, sizeBytes: number): void {
    if (!task) return
    waiting += 1
    held.waitingBytes += sizeBytes
    if (waiting >= MOST_WAITING || held.waitingBytes > MOST_WAITING_BYTES_IN_ALL) ws.pause()
    work = work.then(() => carryOut(task, sizeBytes))
  }

  function letGo(code: number): void {
    isClosing = true
    held.unsentBytes -= unsentBytes
    for (const stop of closers) stop()
    work = work.then(() => events.closed?.(code)).catch(failed)
  }

  ws.on('message', hear)
  ws.on('close', letGo)
  ws.on('error', (error) => {
    log.debug({ err: error, path }, 'a WebSocket was refused: too large a message, or no WebSocket')
    finish(CLOSE.refused, true) // `ws` has sent a code of its own
  })

  try {
    const opened = parts.open({ since, send, close, follow })
    if (!(opened instanceof Promise)) events = opened
    else {
      ws.pause() // what it sends before that waits
      work = opened.then((given) => {
        events = given
        if (ws.isPaused) ws.resume()
      }, broken)
    }
  } catch (error) {
    broken(error)
  }
  return { end, isIdle: () => events.isIdle?.() ?? false }
}

const textOf = ({ epoch, offset }: Position) => `${epoch}:${offset}`

/** Of `?since=`, as a message named it; undefined for what is none. */
export function positionOf(text: unknown): Position | undefined {
  const [, epoch, offset] = /^(.{1,128}):(\d{1,15})$/.exec(typeof text === 'string' ? text : '') ?? []
  return epoch === undefined ? undefined : { epoch, offset: Number(offset) }
}
