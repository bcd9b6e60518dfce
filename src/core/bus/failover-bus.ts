// The channel layer: in Redis' order while it answers, in this process' own while it does not.
//
// linked   a line that somebody listens to here follows Redis: a publish appends there and gets back everything up to its own
//          message; other processes' messages come by pub/sub, and what pub/sub missed is read from the log.
// own      Redis is away, or was too slow to say whether it took a message: the line counts by itself, under a new epoch, and
//          what is published waits in `late` until it is in Redis, by id. Then the line is linked again, under another epoch.
import { randomUUID } from 'node:crypto'
import { type Now, startTimer } from '../../lib/time.ts'
import { createParticipant, type Participant } from '../participant.ts'
import { type Bus, type BusMessage, type Draft, HISTORY_MESSAGES, type Position } from './bus.ts'
import type { BusAccess } from './bus-access.ts'
import { HEAD_MS } from './bus-scripts.ts'
import type { Line } from './channel.ts'
import type { Lines } from './channels.ts'
import { createLink, type Link } from './cursor.ts'
import type { FailoverPresence } from './failover-presence.ts'
import type { LateKind, RedisBus, RedisStretch } from './redis-bus.ts'
import type { RedisDeliveries, RedisDeliveriesOptions } from './redis-deliveries.ts'
import { createLateMessages } from './unsent-messages.ts'

const BATCH = 50 // messages a script
// Twice as many as are late at most: what is published meanwhile is merged, too, but a stream of it holds nobody up.
const MOST_BATCHES = (2 * HISTORY_MESSAGES) / BATCH
const RETRY_MS = 250

export interface FailoverBusOptions {
  lines: Lines
  redis: RedisBus
  access: BusAccess
  presence: FailoverPresence
  createDeliveries: (
    events: Pick<RedisDeliveriesOptions, 'received' | 'noticed' | 'ready'>,
  ) => RedisDeliveries
  now: Now
}

export interface FailoverBus extends Bus, Participant {
  /** Whether somebody here listens to it. */
  isListened(channel: string): boolean
  close(): void
}

export function createFailoverBus(options: FailoverBusOptions): FailoverBus {
  const { lines, redis, access, presence, now } = options
  const late = createLateMessages(now)
  const links = new WeakMap<Line, Link>()
  let hasMerged = false // since Redis was left: what comes after that is merged when Redis is asked again, and does not hold it up

  const deliveries = options.createDeliveries({
    received(message) {
      const line = lines.find(message.channel)
      if (!line?.isLinked()) return
      const { epoch, offset } = message
      if (line.fits(message)) line.accept({ epoch, offset, messages: [message] })
      else void catchUp(line)
    },
    noticed: presence.hear,
    ready: (channels) => {
      for (const channel of channels) {
        void catchUp(lines.open(channel))
        void presence.catchUp(channel)
      }
    },
  })

  function linkOf(line: Line): Link {
    const known = links.get(line)
    if (known) return known
    const link = createLink(line)
    links.set(line, link)
    return link
  }

  const follows = (line: Line) => access.isRedis() && !late.has(line.channel)

  function cut(line: Line): void {
    if (!line.isLinked()) return
    linkOf(line).seen = line.position()
    line.beOwn()
  }

  function take(line: Line, stretch: RedisStretch): void {
    if (linkOf(line).users === 0 || !follows(line)) return
    if (line.isLinked() && line.position().epoch === stretch.epoch) line.accept(stretch)
    else line.adopt(stretch)
  }

  /** Asks Redis for what is not here yet: one question at a time, and one more if it was asked for meanwhile. */
  function catchUp(line: Line): Promise<void> {
    const link = linkOf(line)
    link.isStale = true
    link.catchingUp ??= untilFresh(line, link).finally(() => {
      link.catchingUp = undefined
    })
    return link.catchingUp
  }

  async function untilFresh(line: Line, link: Link): Promise<void> {
    while (link.isStale && link.users > 0 && follows(line)) {
      link.isStale = false
      const isAnswered = await access.ask(
        async () => {
          await link.inTurn(redis.read(line.channel, link.known()), (stretch) => take(line, stretch))
          return true
        },
        () => false,
      )
      if (isAnswered) continue
      startTimer(RETRY_MS, () => void catchUp(line))
      return
    }
  }

  async function append(line: Line, draft: Draft): Promise<Position> {
    const link = linkOf(line)
    const isHeard = link.users > 0
    let isBehind = false
    const answer = link.sending((after) => redis.append(line.channel, draft, isHeard ? after : 'nothing'))
    const place = await link.inTurn(answer, (stretch) => {
      const { epoch, offset, messages } = stretch
      if (!isHeard) {
        link.seen = { epoch, offset }
        return line.keep({ ...draft, channel: line.channel, epoch, offset })
      }
      const first = messages[0]
      const isSameEpoch = line.isLinked() && epoch === line.position().epoch
      isBehind = isSameEpoch && !(first && line.fits(first))
      if (!isBehind) take(line, stretch)
    })
    if (isBehind) await catchUp(line)
    const { epoch, offset } = place
    // Else it is in Redis, and its order is not followed here at the moment.
    return line.has(draft.id) || line.isLinked() ? { epoch, offset } : line.append(draft)
  }

  function inMemory(line: Line, draft: Draft, kind: LateKind): Position {
    cut(line)
    late.add(line.channel, draft, kind)
    const { epoch, offset } = line.append(draft)
    return { epoch, offset }
  }

  /** Puts what Redis lost of a channel before what it missed. */
  async function examine(line: Line): Promise<void> {
    const { seen } = linkOf(line)
    if (!seen) return
    const { isLost } = await redis.read(line.channel, { seen, after: Number.MAX_SAFE_INTEGER - 1 })
    if (isLost) late.addBefore(line.channel, line.history())
  }

  async function mergeLate(channel: string): Promise<void> {
    const line = lines.open(channel)
    for (let i = 0; i < MOST_BATCHES; i += 1) {
      const batch = late.first(channel, BATCH)
      if (batch.length === 0) return
      await redis.merge(channel, batch, linkOf(line).seen)
      late.remove(channel, batch)
    }
  }

  const heard = () => [...lines.all()].filter((line) => linkOf(line).users > 0)

  function followAll(): void {
    for (const line of heard()) void catchUp(line)
  }

  /** A channel that somebody listens to stays in Redis, however quiet it is. */
  async function refresh(): Promise<void> {
    for (const line of heard()) await catchUp(line)
  }
  const refreshing = setInterval(() => void refresh(), HEAD_MS / 3).unref()

  return {
    async publish(channel, data) {
      const line = lines.open(channel)
      const draft = { id: randomUUID(), data, atMs: now() }
      if (late.has(channel)) return inMemory(line, draft, 'new')
      let kind: LateKind = 'new'
      return access.ask(
        () => {
          kind = 'asked'
          return append(line, draft)
        },
        () => inMemory(line, draft, kind),
      )
    },

    async subscribe(channel, subscriber, since) {
      const line = lines.open(channel)
      const link = linkOf(line)
      link.users += 1
      deliveries.add(channel)
      let before: readonly BusMessage[] = []
      if (follows(line) && (since || !line.isLinked())) {
        await access.ask(
          async () => {
            const from = link.known()
            const isSame = from && since?.epoch === from.seen.epoch
            const after = isSame ? Math.min(since.offset, from.after) : from?.after
            const answer = redis.read(channel, from && { ...from, after: after ?? from.after })
            const stretch = await link.inTurn(answer, (found) => take(line, found))
            before = stretch.messages
          },
          () => {},
        )
      }
      if (follows(line) && !line.isLinked()) void catchUp(line)
      const subscription = line.subscribe(subscriber, since, before)
      let isOpen = true
      return {
        ...subscription,
        close() {
          if (!isOpen) return
          isOpen = false
          subscription.close()
          link.users -= 1
          if (link.users > 0) return
          deliveries.remove(channel)
          // Not at once: it may be the line that is just giving its subscriber a message, with more to come.
          queueMicrotask(() => link.users === 0 && cut(line))
        },
      }
    },

    async history(channel) {
      const here = () => lines.find(channel)?.history() ?? []
      return late.has(channel) ? here() : access.ask(() => redis.history(channel), here)
    },

    enter: presence.enter,
    leave: presence.leave,
    members: presence.members,
    onMember: presence.onMember,

    ...createParticipant({}),
    left() {
      hasMerged = false
      for (const line of lines.all()) cut(line)
      deliveries.rest()
    },
    pending: late.size,
    isPending() {
      const isLate = late.size() > 0 && (access.isRedis() || !hasMerged)
      return !access.isForbidden() && (isLate || presence.isPending())
    },
    async merge() {
      await access.merge(async () => {
        if (!access.isRedis()) for (const line of [...lines.all()]) await examine(line)
        for (const channel of late.channels()) await mergeLate(channel)
        await presence.synchronize()
      })
      hasMerged = true
      if (access.isRedis()) followAll()
    },
    returned() {
      access.renew()
      deliveries.open()
      followAll()
    },
    isListened(channel) {
      const line = lines.find(channel)
      return line !== undefined && linkOf(line).users > 0
    },
    close() {
      clearInterval(refreshing)
      deliveries.close()
    },
  }
}
