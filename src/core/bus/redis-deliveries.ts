// What Redis delivers: a connection of its own, subscribed to the channels somebody here listens to. It is opened when there is
// one, and again and again while it is wanted. What is missed between is fetched by who is told `ready`.

import { createBackoff } from '../../lib/backoff.ts'
import { pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { RedisUnavailable } from '../errors.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { BusMessage } from './bus.ts'
import { decodeDelivery, decodeNotice, type Notice } from './redis-bus.ts'

export interface RedisDeliveries {
  /** From now on, while it is open, what is published in the channel is delivered. */
  add(channel: string): void
  remove(channel: string): void
  /** Redis answers, as far as is known: connects when there is something to listen to. */
  open(): void
  /** Redis is away: gives the connection up. */
  rest(): void
  close(): void
}

export interface RedisDeliveriesOptions {
  connection: RedisConnection
  wireName: (channel: string) => string
  /** How often a connection that brings nothing is asked whether it lives. */
  beatMs: number
  received(message: BusMessage): void
  noticed(channel: string, notice: Notice): void
  /** From here on nothing is missed in these channels; before it, something may have been. */
  ready(channels: readonly string[]): void
  log: Log
}

const RETRY = { firstMs: 50, capMs: SECOND }
const BATCH = 500 // channels a command

export function createRedisDeliveries(options: RedisDeliveriesOptions): RedisDeliveries {
  const { connection, wireName, beatMs, received, noticed, ready, log } = options
  const channels = new Map<string, (text: string) => void>() // and who hears of each
  const backoff = createBackoff(RETRY)
  const leaving = new Set<string>() // what is being unsubscribed, and must be before it is subscribed again
  let isWanted = false
  let isConnected = false
  let isConnecting = false
  let isTold = false // that it was lost
  let heard = 0
  let heardBefore = 0

  connection.onLost(lost)
  const timer = setInterval(() => void beat(), beatMs).unref()

  function lost(cause: RedisUnavailable): void {
    if (!isConnected) return
    disconnect()
    tell(cause)
    void connect()
  }

  function tell({ reason, message }: RedisUnavailable): void {
    if (!isWanted || isTold) return
    isTold = true
    log.warn({ reason }, `channel layer: no connection for messages from Redis: ${message}`)
  }

  async function connect(): Promise<void> {
    if (isConnecting) return
    isConnecting = true
    while (isWanted && !isConnected && channels.size > 0) {
      try {
        await connection.open()
        isConnected = true
        const names = [...channels.keys()]
        for (let i = 0; i < names.length; i += BATCH) await subscribe(names.slice(i, i + BATCH))
        if (isTold) log.info('channel layer: messages from Redis arrive again')
        isTold = false
        backoff.reset()
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error
        disconnect()
        tell(error)
        await pause(backoff.nextMs())
      }
    }
    isConnecting = false
    if (!isWanted) disconnect()
  }

  async function subscribe(names: readonly string[]): Promise<void> {
    await connection.call((client) =>
      Promise.all(
        names.map((channel) => {
          const listener = channels.get(channel)
          return listener && client.subscribe(wireName(channel), listener)
        }),
      ),
    )
    ready(names)
  }

  async function unsubscribe(channel: string): Promise<void> {
    leaving.add(channel)
    try {
      await connection.call((client) => client.unsubscribe(wireName(channel)))
    } finally {
      leaving.delete(channel)
    }
    if (channels.has(channel)) await subscribe([channel])
  }

  async function during(work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error
      lost(error)
    }
  }

  // A connection that is half open looks like a quiet one.
  async function beat(): Promise<void> {
    const isQuiet = heard === heardBefore
    heardBefore = heard
    if (isConnected && isQuiet) await during(connection.call((client) => client.ping()))
  }

  function disconnect(): void {
    isConnected = false
    connection.drop()
  }

  return {
    add(channel) {
      if (channels.has(channel)) return
      channels.set(channel, (text) => {
        heard += 1
        const notice = decodeNotice(text)
        if (notice) noticed(channel, notice)
        else received(decodeDelivery(channel, text))
      })
      if (!isConnected) void connect()
      else if (!leaving.has(channel)) void during(subscribe([channel]))
    },
    remove(channel) {
      if (channels.delete(channel) && isConnected && !leaving.has(channel)) void during(unsubscribe(channel))
    },
    open() {
      isWanted = true
      backoff.reset()
      void connect()
    },
    rest() {
      isWanted = false
      disconnect()
    },
    close() {
      isWanted = false
      clearInterval(timer)
      channels.clear()
      connection.close()
    },
  }
}
