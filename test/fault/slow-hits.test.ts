// A limit holds while Redis is slow but alive, when some of its answers come too late and others just in time.

import { randomUUID } from 'node:crypto'
import { RedisUnavailable } from '../../src/core/errors.ts'
import { createJournal } from '../../src/core/state/disk/journal.ts'
import { createRedisStateStore } from '../../src/core/state/redis-state-store.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { openProcess } from '../helpers/stores.ts'

function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

test.each([1, 2])(
  '%s workers: a hit is not allowed beside others that were counted here meanwhile',
  async (workers) => {
    const redis = await startRedis()
    const redisAnswers: (() => Promise<void>)[] = []
    const [late, inTime] = [gate(), gate()]
    const app = await openProcess({
      cacheUrl: redis.url,
      budgetMs: 500, // so that a busy machine is no outage
      workers,
      stateParts: {
        createJournal,
        createRedisStateStore(options) {
          const store = createRedisStateStore(options)
          return {
            ...store,
            // Redis has counted at once; only its answer takes long.
            async hit(key, hit) {
              const comes = redisAnswers.shift()
              const answer = await store.hit(key, hit)
              await comes?.()
              return answer
            },
          }
        },
      },
    })
    try {
      await app.untilStatus('redis')
      await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
      const hit = async () =>
        (
          await app.state.hit('limit:p:x', {
            id: randomUUID(),
            nowMs: Date.now(),
            limit: 5,
            windowMs: 60_000,
          })
        ).allowed
      const allowed = [await hit(), await hit(), await hit()]
      redisAnswers.push(async () => {
        await late.opened
        // Answered in time, so that one late answer in this second is no outage.
        await Promise.all(Array.from({ length: 10 }, (_, i) => app.state.mark(`revoked:${i}`, 1, 60_000)))
        throw new RedisUnavailable('slow', 'no answer within the budget')
      })
      redisAnswers.push(() => inTime.opened)
      const [first, second] = [hit(), hit()]
      late.open()
      allowed.push(await first)
      const between = hit()
      inTime.open()
      allowed.push(...(await Promise.all([second, between])))
      expect(allowed.filter(Boolean)).toHaveLength(5)
      expect(app.stateRole.status().activations).toBe(0)
    } finally {
      await app.close()
      await redis.stop()
    }
  },
)
