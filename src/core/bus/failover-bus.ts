// The messages of the channel layer, through outages of Redis. Their way:
//
//   Redis answers   publish → script in Redis → its answer here, pub/sub in other processes → local channel (following)
//                   → a queue for each subscriber → subscriber
//   Redis is away   publish → unsent messages, and → local channel (standalone) → queues → subscriber
//   Redis returns   unsent messages → merged into Redis, by id → local channels follow again, in another epoch
//
// A local channel follows Redis while somebody subscribes to it here, Redis is asked, and nothing of the channel is
// unsent. A publish that Redis was too slow to answer makes its channel standalone as well. What pub/sub missed is
// read from the log.
import { randomUUID } from 'node:crypto'
import type { Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { createParticipant, type Participant } from '../participant.ts'
import type { StateRedis } from '../state/state-role.ts'
import type { Bus, Draft, Position } from './bus.ts'
import { HEAD_MS } from './channel-scripts.ts'
import { type Cursor, createCursor } from './cursor.ts'
import type { LocalChannel, LocalChannels } from './local-channel.ts'
import type { RedisBus, UnsentKind } from './redis-bus.ts'
import type { RedisPubSub } from './redis-pubsub.ts'
import { createUnsentMessages } from './unsent-messages.ts'

export interface FailoverBusOptions {
  channels: LocalChannels
  redis: RedisBus
  pubSub: RedisPubSub
  access: Pick<StateRedis, 'attempt' | 'isRedis'>
  log: Log
  now: Now
}

export interface FailoverBus
  extends Pick<Bus, 'publish' | 'subscribe' | 'history' | 'reachesOthers'>,
    Participant {
  close(): void
}

export function createFailoverBus(options: FailoverBusOptions): FailoverBus {
  const { channels, redis, pubSub, access, log, now } = options
  const unsent = createUnsentMessages({ redis, log, now })
  const cursors = new WeakMap<LocalChannel, Cursor>()
  let hasMerged = false // since Redis was left: what is unsent after that does not hold up its return

  pubSub.on({
    message(message) {
      const local = channels.find(message.channel)
      if (!local?.isFollowing()) return
      const { epoch, offset } = message
      if (local.isContiguous(message)) local.apply({ epoch, offset, messages: [message] })
      else catchUpSoon(local)
    },
    ready(names) {
      for (const channel of names) catchUpSoon(channels.open(channel))
    },
  })

  const mayFollow = (channel: string) => access.isRedis() && !unsent.has(channel)

  function cursorOf(local: LocalChannel): Cursor {
    const known = cursors.get(local)
    if (known) return known
    const cursor = createCursor(local, { redis, access, mayFollow: () => mayFollow(local.channel), log })
    cursors.set(local, cursor)
    return cursor
  }

  function catchUpSoon(local: LocalChannel): void {
    void inBackground(cursorOf(local).catchUp(), log)
  }

  const subscribed = () => [...channels.all()].filter((local) => cursorOf(local).subscriptions > 0)

  function catchUpAll(): void {
    for (const local of subscribed()) catchUpSoon(local)
  }

  /** A channel with subscribers stays in Redis, however quiet it is. */
  async function keepHeads(): Promise<void> {
    for (const local of subscribed()) await cursorOf(local).catchUp()
  }
  const timer = setInterval(() => void inBackground(keepHeads(), log), HEAD_MS / 3).unref()

  function publishHere(local: LocalChannel, draft: Draft, kind: UnsentKind): Position {
    cursorOf(local).detach()
    unsent.add(local.channel, draft, kind)
    const { epoch, offset } = local.append(draft)
    return { epoch, offset }
  }

  function leave(): void {
    hasMerged = false
    for (const local of channels.all()) cursorOf(local).detach()
    pubSub.rest()
  }

  /** What Redis has lost of a channel is unsent again. The state role's finding does not tell: it may miss a second. */
  async function examine(local: LocalChannel): Promise<void> {
    const seen = cursorOf(local).lastSeen()
    if (!seen) return
    const { isLost } = await redis.read(local.channel, { seen, after: Number.MAX_SAFE_INTEGER - 1 })
    if (isLost) unsent.addLost(local.channel, local.history())
  }

  return {
    async publish(channel, data) {
      const local = channels.open(channel)
      const draft = { id: randomUUID(), data, atMs: now() }
      if (unsent.has(channel)) return publishHere(local, draft, 'new')
      let kind: UnsentKind = 'new'
      return access.attempt(
        () => {
          kind = 'asked'
          return cursorOf(local).append(draft)
        },
        () => publishHere(local, draft, kind),
      )
    },

    async subscribe(channel, subscriber, since) {
      const local = channels.open(channel)
      const cursor = cursorOf(local)
      cursor.subscriptions += 1
      pubSub.add(channel)
      const isRead = mayFollow(channel) && (since !== undefined || !local.isFollowing())
      const known = isRead ? await cursor.read(since) : []
      if (mayFollow(channel) && !local.isFollowing()) catchUpSoon(local)
      const subscription = local.subscribe(subscriber, since, known)
      let isOpen = true
      return {
        ...subscription,
        close() {
          if (!isOpen) return
          isOpen = false
          subscription.close()
          cursor.subscriptions -= 1
          if (cursor.subscriptions > 0) return
          pubSub.remove(channel)
          // Later: the local channel may be giving its subscriber a message right now, with more to come.
          queueMicrotask(() => cursor.subscriptions === 0 && cursor.detach())
        },
      }
    },

    async history(channel) {
      const here = () => channels.find(channel)?.history() ?? []
      return unsent.has(channel) ? here() : access.attempt(() => redis.history(channel), here)
    },

    reachesOthers: access.isRedis,

    ...createParticipant({}),
    cut: leave,
    left: leave,
    pending: unsent.size,
    isPending: () => unsent.size() > 0 && (access.isRedis() || !hasMerged),
    async merge() {
      if (!access.isRedis()) for (const local of [...channels.all()]) await examine(local)
      await unsent.send((channel) => cursorOf(channels.open(channel)).lastSeen())
      hasMerged = true
      if (access.isRedis()) catchUpAll()
    },
    returned() {
      pubSub.open()
      catchUpAll()
    },
    close: () => clearInterval(timer),
  }
}
