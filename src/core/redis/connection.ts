// One connection to one Redis: fail-fast, timed, replaced as a whole when it is lost or hangs.
// It does not retry by itself: its owner decides when to open it again, so that one place knows the status.

import { isIP } from 'node:net'
import { createClient, ErrorReply, RESP_TYPES } from 'redis'
import { createDeadlines, withTimeout } from '../../lib/async/deadlines.ts'
import { waitFor } from '../../lib/async/request-deadline.ts'
import type { RedisTarget } from '../../lib/redis-url.ts'
import { SECOND } from '../../lib/time.ts'
import { deadlineExceeded, RedisUnavailable } from '../errors.ts'

const CONNECT_MS = 2_000
/** Shorter than what NATs and balancers let a quiet connection live: they forget it later, and a dead peer is found. */
const KEEP_ALIVE_MS = 30 * SECOND
/** Only tracking is refused in these words. Anything else (BUSY, LOADING …) says nothing of tracking. */
const REFUSES_TRACKING = /^(ERR|NOPERM)\b/
/** It stays refused while this process lives. */
const KNOWS_NO_TRACKING = /^(NOPERM\b|ERR (unknown|syntax error))/i

/** Strings arrive as bytes: values are passed on, not decoded. */
const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer } as const

export interface Server {
  target: RedisTarget
  ca?: string | undefined
}

/** How each of our clients connects: it fails fast, keeps nothing for later and never tries again. */
export function settingsOf({ target, ca }: Server) {
  const { at } = target
  const socket =
    'path' in at
      ? { path: at.path, tls: false as const }
      : at.tls
        ? { host: at.host, port: at.port, tls: true as const, ...serverName(at.host), ...(ca && { ca }) }
        : { host: at.host, port: at.port }
  return {
    socket: {
      ...socket,
      connectTimeout: CONNECT_MS,
      reconnectStrategy: false as const,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    },
    database: target.database,
    ...(target.username && { username: target.username }),
    ...(target.password && { password: target.password }),
    disableOfflineQueue: true,
    maintNotifications: 'disabled' as const,
    commandsQueueMaxLength: 100_000,
  }
}

// createClient builds a class of hundreds of commands whenever its options differ from those of the call before: 50 to
// 200 ms of a processor, at each attempt to reach a Redis that is away. A duplicate has the class of its model, which
// never connects.
const createModel = () =>
  createClient({
    maintNotifications: 'disabled',
    // Its own timeout ends when a command is sent, and costs two thirds of the throughput: off. `call` has ours.
    commandOptions: { timeout: 0, typeMapping: BYTES },
  })
let model: ReturnType<typeof createModel> | undefined

function buildClient({ tracked, ...server }: Server & { tracked: boolean }) {
  model ??= createModel()
  return model.duplicate({ ...settingsOf(server), name: 'samovar', emitInvalidate: tracked })
}

// node-redis sends no SNI by itself, and hosts that route by it then refuse. An address has none (RFC 6066).
const serverName = (host: string) => (isIP(host) === 0 ? { servername: host } : {})

export type RedisClient = ReturnType<typeof buildClient>

export interface RedisConnection {
  /** What one call may take, ms. */
  readonly budgetMs: number
  /**
   * Replaces the present connection, within so many ms of time in which an answer could have been read. Rejects with
   * RedisUnavailable and leaves nothing behind.
   */
  open(withinMs?: number): Promise<void>
  /**
   * Runs one or more commands of one tick under one budget, and under the deadline of the request. Rejects with
   * RedisUnavailable; an error that is a bug of ours (a TypeError and its like) passes through as it is.
   */
  call<T>(commands: (client: RedisClient) => Promise<T>): Promise<T>
  /** Calls under way reject; the connection stays, so that what Redis answers to them is still a sign of life. */
  abandonCalls(): void
  /** Closes the present client immediately; calls under way reject. */
  drop(): void
  /** Another client changed this key (without our prefix), or anything (undefined). */
  onInvalidate(listener: (key: string | undefined) => void): void
  onLost(listener: (cause: RedisUnavailable) => void): void
  /** Whether the server announces other clients' writes. */
  isTracked(): boolean
  close(): void
}

export interface RedisConnectionOptions {
  target: RedisTarget
  ca?: string | undefined
  budgetMs: number
  /** Writes of other clients to keys that begin so are reported; undefined where there are none. */
  trackPrefix: string | undefined
}

/** A connection that is not open yet; `open` it. */
export function connectRedis({ target, ca, budgetMs, trackPrefix }: RedisConnectionOptions): RedisConnection {
  const deadlines = createDeadlines()
  let client: RedisClient | undefined
  let answers = 0 // of any kind: signs of life
  let canTrack = trackPrefix !== undefined
  let isTracked = false // the present connection is
  let lost: (cause: RedisUnavailable) => void = () => {}
  let invalidated: (key: string | undefined) => void = () => {}

  async function open(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    drop()
    try {
      await connect(canTrack, withinMs)
    } catch (cause) {
      if (!canTrack || !(cause instanceof ErrorReply) || !REFUSES_TRACKING.test(cause.message))
        throw unavailable(cause)
      await openUntracked(cause, withinMs)
    }
  }

  // A server without CLIENT TRACKING, or a user who may not use it, refuses the handshake. So does one that refuses
  // everything: the second try shows which it is.
  async function openUntracked(refusal: ErrorReply, withinMs: number): Promise<void> {
    try {
      await connect(false, withinMs)
    } catch (cause) {
      throw unavailable(cause)
    }
    canTrack = !KNOWS_NO_TRACKING.test(refusal.message)
  }

  async function connect(tracked: boolean, withinMs: number): Promise<void> {
    const fresh = buildClient({ target, ca, tracked })
    fresh.on('error', (cause) => {
      if (client !== fresh) return
      drop()
      lost(unavailable(cause))
    })
    fresh.on('invalidate', (key: Buffer | null) => {
      if (client !== fresh) return
      answers += 1
      const name = key?.toString()
      if (name === undefined) invalidated(undefined)
      else invalidated(name.slice(trackPrefix?.length))
    })
    try {
      await withinConnectTime(withinReadable(shakeHands(fresh, tracked), withinMs))
    } catch (cause) {
      fresh.destroy()
      throw cause
    }
    client = fresh
    isTracked = tracked
  }

  function withinReadable(work: Promise<void>, ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = deadlines.start(ms, () =>
        reject(new RedisUnavailable('silent', `no answer within ${ms} ms of connecting`)),
      )
      work.finally(cancel).then(resolve, reject)
    })
  }

  async function shakeHands(fresh: RedisClient, tracked: boolean): Promise<void> {
    await fresh.connect()
    if (!tracked || trackPrefix === undefined) return
    // Broadcasting needs no table of the keys we have read, and leaves our own writes out.
    await fresh.sendCommand(['CLIENT', 'TRACKING', 'OFF'])
    await fresh.sendCommand(['CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', trackPrefix, 'NOLOOP'])
  }

  function call<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    const current = client
    if (!current) return Promise.reject(new RedisUnavailable('lost', 'not connected'))
    const answer = new Promise<T>((resolve, reject) => {
      const answersBefore = answers
      const sentAtMs = performance.now()
      const cancel = deadlines.start(budgetMs, () => {
        const reason = answers === answersBefore ? 'silent' : 'slow'
        const waitedMs = performance.now() - sentAtMs
        reject(new RedisUnavailable(reason, `no answer within ${budgetMs} ms`, { waitedMs }))
      })
      commands(current).then(
        (reply) => {
          answers += 1
          cancel()
          resolve(reply)
        },
        (cause) => {
          if (cause instanceof ErrorReply) answers += 1
          cancel()
          reject(isBug(cause) ? cause : unavailable(cause))
        },
      )
    })
    return waitFor(answer, deadlineExceeded)
  }

  function drop() {
    const dropped = client
    client = undefined
    dropped?.destroy()
  }

  return {
    budgetMs,
    open,
    call,
    abandonCalls: deadlines.expireAll,
    drop,
    onLost: (listener) => {
      lost = listener
    },
    onInvalidate: (listener) => {
      invalidated = listener
    },
    isTracked: () => client !== undefined && isTracked,
    close() {
      drop()
      deadlines.clear()
    },
  }
}

// What the engine throws at a mistake in our source, also for an argument that node-redis cannot encode.
const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError]
const isBug = (error: unknown) => BUGS.some((kind) => error instanceof kind)

/**
 * The failure as RedisUnavailable. Every error reply is a refusal: managed servers have words of their own, and a
 * caller whose command is wrong is better served from memory than with an error.
 */
export function unavailable(cause: unknown): RedisUnavailable {
  if (cause instanceof RedisUnavailable) return cause
  const message = cause instanceof Error && cause.message ? cause.message : describeCode(cause)
  const [firstSentence = message] = message.split(/\.\s|\.$/, 1) // Redis explains at length
  return new RedisUnavailable(cause instanceof ErrorReply ? 'refused' : 'lost', firstSentence, { cause })
}

// Node reports a refused connection to a name with two addresses as an AggregateError without a message.
function describeCode(cause: unknown): string {
  return String((cause as { code?: string } | undefined)?.code ?? cause)
}

/** Rejects with RedisUnavailable when connecting takes longer. */
export function withinConnectTime(work: Promise<void>): Promise<void> {
  return withTimeout(CONNECT_MS, async (signal) => {
    const late = new Promise<never>((_, reject) => {
      const giveUp = () =>
        reject(new RedisUnavailable('silent', `no answer within ${CONNECT_MS} ms of connecting`))
      signal.addEventListener('abort', giveUp)
    })
    await Promise.race([work, late])
  })
}
