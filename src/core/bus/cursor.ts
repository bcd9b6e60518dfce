// How far one local channel has read its log in Redis: what is asked for, what is in flight, and in which order
// answers count.
import { startTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import type { StateRedis } from '../state/state-role.ts'
import type { BusMessage, Draft, Position } from './bus.ts'
import type { LocalChannel } from './local-channel.ts'
import type { ReadFrom, RedisBus, RedisLogPage } from './redis-bus.ts'

export interface Cursor {
  /** Subscriptions here, and those that are being made. */
  subscriptions: number
  /** How far Redis' order was known when it was last followed. */
  lastSeen(): Position | undefined
  /** Appends a message to the log; its position, also for subscribers here. Rejects with RedisUnavailable. */
  append(draft: Draft): Promise<Position>
  /** Reads what is new since the local channel's position, or since an older one; the answer, [] without one. */
  read(since: Position | undefined): Promise<readonly BusMessage[]>
  /** Reads what is new, one question at a time, and once more if it is called while Redis is asked. */
  catchUp(): Promise<void>
  /** Makes the local channel standalone. */
  detach(): void
}

export interface CursorOptions {
  redis: RedisBus
  access: Pick<StateRedis, 'attempt'>
  /** Whether Redis' order is to be followed now. */
  mayFollow: () => boolean
  log: Log
}

const RETRY_MS = 250

export function createCursor(local: LocalChannel, { redis, access, mayFollow, log }: CursorOptions): Cursor {
  const { channel } = local
  let lastSeen: Position | undefined
  let turn: Promise<unknown> = Promise.resolve()
  let inFlight = 0
  let sentUpTo = local.position() // where the last of our messages in flight will be
  let isStale = false
  let reading: Promise<void> | undefined

  function present(): ReadFrom | 'start' {
    const seen = local.position()
    return local.isFollowing() ? { seen, after: seen.offset } : 'start'
  }

  /** Each message of ours in flight takes a place; pub/sub may have brought some before their answers came. */
  function afterInFlight(): ReadFrom | 'start' {
    const seen = local.position()
    if (!local.isFollowing()) return 'start'
    if (inFlight === 0 || sentUpTo.epoch !== seen.epoch) sentUpTo = seen
    const after = Math.max(sentUpTo.offset, seen.offset)
    sentUpTo = { epoch: seen.epoch, offset: sentUpTo.offset + 1 }
    return { seen, after }
  }

  async function send(draft: Draft, isSubscribed: boolean): Promise<RedisLogPage> {
    const from = afterInFlight()
    inFlight += 1
    try {
      return await redis.append(channel, draft, isSubscribed ? from : 'nothing')
    } finally {
      inFlight -= 1
    }
  }

  /** Answers count in the order of the questions, whichever promise is the first to be fulfilled. */
  function inTurn(answer: Promise<RedisLogPage>, use: (page: RedisLogPage) => void): Promise<RedisLogPage> {
    const before = turn
    async function useInTurn() {
      const page = await answer
      await before
      use(page)
      return page
    }
    const used = useInTurn()
    // Without the values: else each turn would hold those of all before it.
    turn = Promise.allSettled([before, used]).then(() => {})
    return used
  }

  function applyPage(page: RedisLogPage): void {
    if (cursor.subscriptions === 0 || !mayFollow()) return
    if (local.isFollowing() && local.position().epoch === page.epoch) local.apply(page)
    else local.resync(page)
  }

  async function readUntilFresh(): Promise<void> {
    while (isStale && cursor.subscriptions > 0 && mayFollow()) {
      isStale = false
      const isAnswered = await access.attempt(
        async () => {
          await inTurn(redis.read(channel, present()), applyPage)
          return true
        },
        () => false,
      )
      if (isAnswered) continue
      startTimer(RETRY_MS, () => void inBackground(catchUp(), log))
      return
    }
  }

  function catchUp(): Promise<void> {
    isStale = true
    reading ??= readUntilFresh().finally(() => {
      reading = undefined
    })
    return reading
  }

  const cursor: Cursor = {
    subscriptions: 0,
    lastSeen: () => lastSeen,
    async append(draft) {
      const isSubscribed = cursor.subscriptions > 0
      let isBehind = false
      const { epoch, offset } = await inTurn(send(draft, isSubscribed), (page) => {
        const { epoch, offset, messages } = page
        if (!isSubscribed) {
          lastSeen = { epoch, offset }
          local.remember({ ...draft, channel, epoch, offset })
          return
        }
        const [first] = messages
        const isSameEpoch = local.isFollowing() && epoch === local.position().epoch
        isBehind = isSameEpoch && !(first && local.isContiguous(first))
        if (!isBehind) applyPage(page)
      })
      if (isBehind) await catchUp()
      // Else it is in Redis, whose order is not followed here at the moment.
      return local.has(draft.id) || local.isFollowing() ? { epoch, offset } : local.append(draft)
    },
    read(since) {
      return access.attempt(
        async () => {
          const from = present()
          const isEarlier = from !== 'start' && since?.epoch === from.seen.epoch && since.offset < from.after
          const answer = redis.read(channel, isEarlier ? { seen: from.seen, after: since.offset } : from)
          const { messages } = await inTurn(answer, applyPage)
          return messages
        },
        () => [],
      )
    },
    catchUp,
    detach() {
      if (!local.isFollowing()) return
      lastSeen = local.position()
      local.detach()
    },
  }
  return cursor
}
