// What Redis publishes: a connection of its own, subscribed to the channels that somebody here subscribes to. While
// it is wanted it is opened again and again. What was published in between is not delivered: listeners fetch it when
// they are told `ready`.
import { createBackoff } from '../../lib/backoff.ts'
import { corrupt } from '../../lib/codec.ts'
import { pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { RedisUnavailable } from '../errors.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { BusMessage } from './bus.ts'
import { decodePublished, type KeyTrouble } from './redis-bus.ts'
import { decodeNotice, isNotice, type Notice } from './redis-presence.ts'

export interface PubSubListener {
  message(message: BusMessage): void
  notice(channel: string, notice: Notice): void
  /** From here on nothing is missed in these channels; before it, something may have been. */
  ready(channels: readonly string[]): void
}

export interface RedisPubSub {
  on(listener: Partial<PubSubListener>): void
  /** From now on, while it is open, what is published in the channel is delivered. */
  add(channel: string): void
  remove(channel: string): void
  has(channel: string): boolean
  /** Redis answers, as far as is known: connects when there are channels. */
  open(): void
  /** Redis is away: gives the connection up. */
  rest(): void
  close(): void
}

export interface RedisPubSubOptions {
  connection: RedisConnection
  wireName: (channel: string) => string
  /** How often a quiet connection is asked for a sign of life. */
  heartbeatMs: number
  trouble: (key: string, trouble: KeyTrouble) => void
  log: Log
}

const RETRY = { firstMs: 50, capMs: SECOND }
const BATCH = 500 // channels a command

export function createRedisPubSub(options: RedisPubSubOptions): RedisPubSub {
  const { connection, wireName, heartbeatMs, trouble, log } = options
  const listeners: Partial<PubSubListener>[] = []
  const handlers = new Map<string, (text: string) => void>() // by channel
  const backoff = createBackoff(RETRY)
  const leaving = new Set<string>() // being unsubscribed, which must end before they are subscribed again
  let isWanted = false
  let isConnected = false
  let isConnecting = false
  let isAnnounced = false // this loss has its line in the log
  let received = 0
  let receivedBefore = 0

  connection.onLost(lost)
  const timer = setInterval(() => start(heartbeat()), heartbeatMs).unref()

  function start(work: Promise<void>): void {
    void inBackground(work, log)
  }

  function handle(channel: string, text: string): void {
    received += 1
    if (isNotice(text)) {
      const notice = decodeNotice(text)
      if (notice === corrupt) trouble(wireName(channel), 'unreadable')
      else for (const listener of listeners) listener.notice?.(channel, notice)
      return
    }
    const message = decodePublished(channel, text)
    if (message !== corrupt) for (const listener of listeners) listener.message?.(message)
    else {
      trouble(wireName(channel), 'unreadable')
      for (const listener of listeners) listener.ready?.([channel]) // it may stand for a message, which the log has
    }
  }

  // A connection that is opened again at the first try is no news.
  function lost(): void {
    if (!isConnected) return
    disconnect()
    start(connect())
  }

  function announce(cause: unknown): void {
    if (!isWanted || isAnnounced) return
    isAnnounced = true
    if (cause instanceof RedisUnavailable)
      log.warn(
        { reason: cause.reason },
        `channel layer: no connection for messages from Redis: ${cause.message}`,
      )
    else log.error({ err: cause }, 'channel layer: unexpected error on the connection for messages')
  }

  async function connect(): Promise<void> {
    if (isConnecting) return
    isConnecting = true
    while (isWanted && !isConnected && handlers.size > 0) {
      try {
        await connection.open()
        isConnected = true
        const channels = [...handlers.keys()]
        for (let i = 0; i < channels.length; i += BATCH) await subscribe(channels.slice(i, i + BATCH))
        if (isAnnounced) log.info('channel layer: messages from Redis arrive again')
        isAnnounced = false
        backoff.reset()
      } catch (error) {
        disconnect()
        announce(error)
        await pause(backoff.nextMs())
      }
    }
    isConnecting = false
    if (!isWanted) disconnect()
  }

  async function subscribe(channels: readonly string[]): Promise<void> {
    await connection.call((client) =>
      Promise.all(
        channels.map((channel) => {
          const handler = handlers.get(channel)
          return handler && client.subscribe(wireName(channel), handler)
        }),
      ),
    )
    for (const listener of listeners) listener.ready?.(channels)
  }

  async function unsubscribe(channel: string): Promise<void> {
    leaving.add(channel)
    try {
      await connection.call((client) => client.unsubscribe(wireName(channel)))
    } finally {
      leaving.delete(channel)
    }
    if (handlers.has(channel)) await subscribe([channel])
  }

  async function orLost(work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error
      lost()
    }
  }

  // A connection that is half open looks like a quiet one.
  async function heartbeat(): Promise<void> {
    const isQuiet = received === receivedBefore
    receivedBefore = received
    if (isConnected && isQuiet) await orLost(connection.call((client) => client.ping()))
  }

  function disconnect(): void {
    isConnected = false
    connection.drop()
  }

  return {
    on(listener) {
      listeners.push(listener)
    },
    add(channel) {
      if (handlers.has(channel)) return
      handlers.set(channel, (text) => handle(channel, text))
      if (!isConnected) start(connect())
      else if (!leaving.has(channel)) start(orLost(subscribe([channel])))
    },
    remove(channel) {
      if (handlers.delete(channel) && isConnected && !leaving.has(channel))
        start(orLost(unsubscribe(channel)))
    },
    has: (channel) => handlers.has(channel),
    open() {
      isWanted = true
      backoff.reset()
      start(connect())
    },
    rest() {
      isWanted = false
      disconnect()
    },
    close() {
      isWanted = false
      clearInterval(timer)
      handlers.clear()
      connection.close()
    },
  }
}
