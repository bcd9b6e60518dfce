// How much of Redis limiter logs may take. A server that does not evict refuses sessions once it is full, and a
// stranger with many addresses can begin a log with each request: so where half of it is used, by whatever, hits are
// counted in this process alone. That costs precision between processes, and nobody a session. Where it evicts, has no
// limit, or does not say, logs are bounded by this process' own memory for them alone (limiter-logs.ts).
import { withoutDeadline } from '../../../lib/async/request-deadline.ts'
import { MINUTE, SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import { inBackground } from '../../background.ts'
import type { RedisConnection } from '../../redis/connection.ts'

const SHARE = 1 / 2
/** Other processes write there, too; and a server may bill each question. */
const ASKED_AGAIN_MS = 10 * SECOND
/** Where there may be no room, by what this process has written since. */
const ASKED_SOON_MS = SECOND
const LOG_BYTES = 350 // a log of one hit, as Redis counts it
const TOLD_AGAIN_MS = MINUTE

export interface RedisRoom {
  /** Whether a hit may be counted in Redis; false as well where nobody knows before the next answer. */
  takesHit(): boolean
}

export interface RedisRoomOptions {
  connection: Pick<RedisConnection, 'call'>
  log: Log
  /** By a steady clock. */
  now?: () => number
}

export function createRedisRoom(options: RedisRoomOptions): RedisRoom {
  const { connection, log, now = () => performance.now() } = options
  let freeBytes = Number.POSITIVE_INFINITY // for logs, less what was written since the answer
  let askedAtMs = Number.NEGATIVE_INFINITY
  let toldAtMs = Number.NEGATIVE_INFINITY
  let isAsking = false

  async function ask(): Promise<void> {
    isAsking = true
    askedAtMs = now()
    try {
      const info = await connection.call((client) => client.info('memory'))
      freeBytes = freeBytesIn(info.toString())
    } finally {
      isAsking = false
    }
  }

  function askIfDue(): void {
    const dueMs = freeBytes > 0 ? ASKED_AGAIN_MS : ASKED_SOON_MS
    if (!isAsking && now() - askedAtMs >= dueMs) withoutDeadline(() => void inBackground(ask(), log))
  }

  function tell(): void {
    if (now() - toldAtMs < TOLD_AGAIN_MS) return
    toldAtMs = now()
    log.warn(
      'limits: half of the memory of Redis is used, so each process counts by itself for now, ' +
        'and sessions keep the rest; a larger Redis counts for all of them together',
    )
  }

  return {
    takesHit() {
      askIfDue()
      if (freeBytes <= 0) {
        tell()
        return false
      }
      freeBytes -= LOG_BYTES
      return true
    },
  }
}

/** Infinite where the server has no limit, makes room by itself, or does not say. */
export function freeBytesIn(info: string): number {
  const [used, most] = ['used_memory', 'maxmemory'].map((name) =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]),
  ) as [number, number]
  const isBounded = used > 0 && most > 0 && /^maxmemory_policy:noeviction/m.test(info)
  return isBounded ? most * SHARE - used : Number.POSITIVE_INFINITY
}
