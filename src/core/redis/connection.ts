// One connection to one Redis: fail-fast, timed, replaced as a whole when it is lost or hangs.
// It does not retry by itself: its owner decides when to open it again, so that one place knows the status.

import { isIP } from 'node:net'
import { createClient, ErrorReply, RESP_TYPES } from 'redis'
import { createDeadlines, withTimeout } from '../../lib/async/deadlines.ts'
import { waitFor } from '../../lib/async/request-deadline.ts'
import type { RedisTarget } from '../../lib/redis-url.ts'
import { SECOND } from '../../lib/time.ts'
import { deadlineExceeded, RedisUnavailable } from '../errors.ts'
import { unavailable } from './refusals.ts'
import { createWays, type Lesser, type Way } from './ways.ts'

const CONNECT_MS = 2_000
/** Shorter than what NATs and balancers let a quiet connection live: they forget it later, and a dead peer is found. */
const KEEP_ALIVE_MS = 30 * SECOND

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

/** The same in RESP 2, where no command but AUTH logs in: a Redis without users takes a password alone. */
export function resp2SettingsOf(server: Server) {
  const { username, ...settings } = settingsOf(server)
  return username === undefined || username === 'default' ? settings : { ...settings, username }
}

// createClient builds a class of hundreds of commands whenever its options differ from those of the call before: 50 to
// 200 ms of a processor, at each attempt to reach a Redis that is away. A duplicate has the class of its model, which
// never connects.
const MODEL = {
  maintNotifications: 'disabled',
  // Its own timeout ends when a command is sent, and costs two thirds of the throughput: off. `call` has ours.
  commandOptions: { timeout: 0, typeMapping: BYTES },
} as const
const createModel = () => createClient({ ...MODEL })
let model: ReturnType<typeof createModel> | undefined
let resp2Model: typeof model

function buildClient({ way, ...server }: Server & { way: Way }) {
  if (way === 'resp2') {
    // What we call has the same types in both protocols.
    resp2Model ??= createClient({ ...MODEL, RESP: 2 }) as unknown as ReturnType<typeof createModel>
    return resp2Model.duplicate({ ...resp2SettingsOf(server), disableClientInfo: true })
  }
  model ??= createModel()
  return model.duplicate({ ...settingsOf(server), name: 'samovar', emitInvalidate: way === 'tracked' })
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
  const ways = createWays({ mayTrack: trackPrefix !== undefined, hasPassword: target.password !== undefined })
  let isTracked = false // the present connection is
  let lost: (cause: RedisUnavailable) => void = () => {}
  let invalidated: (key: string | undefined) => void = () => {}

  async function open(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    drop()
    for (let next: Lesser | undefined = { way: ways.best(), lasts: false }; next; ) {
      try {
        await connect(next.way, withinMs)
        ways.worked(next)
        return
      } catch (cause) {
        next = ways.after(next.way, cause)
        if (!next) throw unavailable(cause)
      }
    }
  }

  async function connect(way: Way, withinMs: number): Promise<void> {
    const tracked = way === 'tracked'
    const fresh = buildClient({ target, ca, way })
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
