// What ties a line to Redis: what is asked, what is on its way, and in which order the answers count.
import type { Position } from './bus.ts'
import type { Line } from './channel.ts'
import type { Known, RedisStretch } from './redis-bus.ts'

export interface Link {
  /** Subscriptions here, and those that are being made. */
  users: number
  /** How far Redis' order was known when it was last followed. */
  seen: Position | undefined
  catchingUp: Promise<void> | undefined
  isStale: boolean
  /** What Redis need not tell again; undefined while the line is not linked. */
  known(): Known | undefined
  /** Sends a message of ours, with what its answer need not bring again. */
  sending(send: (known: Known | undefined) => Promise<RedisStretch>): Promise<RedisStretch>
  /** Answers are taken over in the order of the questions, whichever promise settles first. */
  inTurn(answer: Promise<RedisStretch>, use: (stretch: RedisStretch) => void): Promise<RedisStretch>
}

export function createLink(line: Line): Link {
  let turn: Promise<unknown> = Promise.resolve()
  let underWay = 0
  let sent = line.position()

  function known(): Known | undefined {
    const seen = line.position()
    return line.isLinked() ? { seen, after: seen.offset } : undefined
  }

  /** Each message of ours that is under way takes a place; pub/sub may have brought some before their answers came. */
  function knownWithSent(): Known | undefined {
    const at = line.position()
    if (!line.isLinked()) return undefined
    if (underWay === 0 || sent.epoch !== at.epoch) sent = at
    const after = Math.max(sent.offset, at.offset)
    sent = { epoch: at.epoch, offset: sent.offset + 1 }
    return { seen: at, after }
  }

  return {
    users: 0,
    seen: undefined,
    catchingUp: undefined,
    isStale: false,
    known,
    async sending(send) {
      const answer = send(knownWithSent())
      underWay += 1
      try {
        return await answer
      } finally {
        underWay -= 1
      }
    },
    inTurn(answer, use) {
      const before = turn
      async function useInTurn() {
        const stretch = await answer
        await before
        use(stretch)
        return stretch
      }
      const used = useInTurn()
      // Without the values: else each turn would hold those of all before it.
      turn = Promise.allSettled([before, used]).then(() => {})
      return used
    },
  }
}
