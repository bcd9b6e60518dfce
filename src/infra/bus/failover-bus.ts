// The channel layer: in Redis' order while it answers, in this process' own while it does not.
//
// linked   a line that somebody listens to here follows Redis: a publish appends there and gets back everything up to its own
//          message; other processes' messages come by pub/sub, and what pub/sub missed is read from the log.
// own      Redis is away, or was too slow to say whether it took a message: the line counts by itself, under a new epoch, and
//          what is published waits in `late` until it is in Redis, by id. Then the line is linked again, under another epoch.
import { randomUUID } from 'node:crypto'
import { type Now, startTimer } from '../../lib/time.ts'
import type { StateGuest } from '../state/state-role.ts'
import type { Bus, BusMessage, Position } from './bus.ts'
import type { BusAccess } from './bus-access.ts'
import type { FailoverPresence } from './failover-presence.ts'
import { createLateMessages } from './late-messages.ts'
import type { Draft, Line } from './line.ts'
import type { Lines } from './lines.ts'
import type { Known, RedisBus, RedisStretch } from './redis-bus.ts'
import type { RedisDeliveries, RedisDeliveriesOptions } from './redis-deliveries.ts'

const BATCH = 50 // messages a script
const RETRY_MS = 250

export interface FailoverBusOptions {
  lines: Lines
  redis: RedisBus
  access: BusAccess
  presence: FailoverPresence
  createDeliveries: (events: Pick<RedisDeliveriesOptions, 'received' | 'ready'>) => RedisDeliveries
  now: Now
}

/** What ties a line to Redis. */
interface Link {
  /** Subscriptions here, and those that are being made. */
  users: number
  /** How far Redis' order was known when it was last followed. */
  seen: Position | undefined
  /** Messages of ours on their way, and where they began to be: each reply need not bring them all again. */
  sending: number
  sent: Position
  /** Settles when every question so far has its answer, and the answer was taken over. */
  turn: Promise<unknown>
  catchingUp: Promise<void> | undefined
  isStale: boolean
}

export interface FailoverBus extends Bus, StateGuest {
  /** The channels that somebody here listens to. */
  listened(): string[]
  close(): void
}

export function createFailoverBus(options: FailoverBusOptions): FailoverBus {
  const { lines, redis, access, presence, now } = options
  const late = createLateMessages(now)
  const links = new WeakMap<Line, Link>()

  const deliveries = options.createDeliveries({
    received(message) {
      const line = lines.find(message.channel)
      if (!line?.isLinked()) return
      const { epoch, offset } = message
      if (line.fits(message)) line.accept({ epoch, offset, messages: [message] })
      else void catchUp(line)
    },
    ready: (channels) => {
      for (const channel of channels) void catchUp(lines.open(channel))
    },
  })

  function linkOf(line: Line): Link {
    const known = links.get(line)
    if (known) return known
    const link: Link = {
      users: 0,
      seen: undefined,
      sending: 0,
      sent: line.position(),
      turn: Promise.resolve(),
      catchingUp: undefined,
      isStale: false,
    }
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

  /** Answers are taken over in the order of the questions, whichever promise settles first. */
  async function inTurn(line: Line, answer: Promise<RedisStretch>, use: (stretch: RedisStretch) => void) {
    const link = linkOf(line)
    const before = link.turn
    async function useInTurn() {
      const stretch = await answer
      await before
      use(stretch)
      return stretch
    }
    const used = useInTurn()
    link.turn = Promise.allSettled([before, used])
    return used
  }

  const known = (line: Line, position = line.position()) =>
    line.isLinked() ? { seen: position, after: position.offset } : undefined

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
          await inTurn(line, redis.read(line.channel, known(line)), (stretch) => take(line, stretch))
          return true
        },
        () => false,
      )
      if (isAnswered) continue
      startTimer(RETRY_MS, () => void catchUp(line))
      return
    }
  }

  /** Each message of ours that is sent takes a place; pub/sub may have brought some of them before their answers came. */
  function afterSent(line: Line, link: Link): Known | undefined {
    if (!line.isLinked()) return undefined
    const at = line.position()
    if (link.sending === 0 || link.sent.epoch !== at.epoch) link.sent = at
    const after = Math.max(link.sent.offset, at.offset)
    link.sent = { epoch: at.epoch, offset: link.sent.offset + 1 }
    return { seen: at, after }
  }

  async function append(line: Line, draft: Draft): Promise<Position> {
    const link = linkOf(line)
    const isHeard = link.users > 0
    let isBehind = false
    const answer = redis.append(line.channel, draft, isHeard ? afterSent(line, link) : 'nothing')
    link.sending += 1
    const settled = () => {
      link.sending -= 1
    }
    answer.then(settled, settled)
    const place = await inTurn(line, answer, (stretch) => {
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

  function inMemory(line: Line, draft: Draft, wasAsked: boolean): Position {
    cut(line)
    late.add(line.channel, draft, wasAsked)
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
    for (let batch = late.first(channel, BATCH); batch.length > 0; batch = late.first(channel, BATCH)) {
      await redis.merge(channel, batch, linkOf(line).seen)
      late.remove(channel, batch)
    }
  }

  const heard = () => [...lines.all()].filter((line) => linkOf(line).users > 0)

  function followAll(): void {
    for (const line of heard()) void catchUp(line)
  }

  return {
    async publish(channel, data) {
      const line = lines.open(channel)
      const draft = { id: randomUUID(), data, atMs: now() }
      if (late.has(channel)) return inMemory(line, draft, false)
      let wasAsked = false
      return access.ask(
        () => {
          wasAsked = true
          return append(line, draft)
        },
        () => inMemory(line, draft, wasAsked),
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
            const from = known(line)
            const isSame = from && since?.epoch === from.seen.epoch
            const after = isSame ? Math.min(since.offset, from.after) : from?.after
            const answer = redis.read(channel, from && { ...from, after: after ?? from.after })
            const stretch = await inTurn(line, answer, (found) => take(line, found))
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
          cut(line)
          deliveries.remove(channel)
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
    onLost: presence.onLost,

    left() {
      for (const line of lines.all()) cut(line)
      deliveries.rest()
    },
    pending: late.size,
    isPending: () => !access.isForbidden() && (late.size() > 0 || presence.isPending()),
    async synchronize() {
      await access.merge(async () => {
        if (!access.isRedis()) for (const line of [...lines.all()]) await examine(line)
        for (const channel of late.channels()) await mergeLate(channel)
        await presence.synchronize()
      })
      if (access.isRedis()) followAll()
    },
    returned() {
      access.renew()
      deliveries.open()
      followAll()
    },
    listened: () => heard().map(({ channel }) => channel),
    close: deliveries.close,
  }
}
