// A limit holds while Redis is slow but alive, when some of its answers come too late and others just in time.

import { randomUUID } from 'node:crypto'
import { RedisUnavailable } from '../../src/core/errors.ts'
import { createJournal } from '../../src/core/state/disk/journal.ts'
import { createRedisStateStore } from '../../src/core/state/redis-state-store.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { openProcess } from '../helpers/stores.ts'

const BUDGET_MS = 100

test.each([1, 2])(
  '%s workers: a hit is not allowed beside others that were counted here meanwhile',
  async (workers) => {
    const redis = await startRedis()
    const answers: ('late' | 'just in time')[] = []
    const app = await openProcess({
      cacheUrl: redis.url,
      workers,
      stateParts: {
        createJournal,
        createRedisStateStore(options) {
          const store = createRedisStateStore(options)
          return {
            ...store,
            // Redis has counted at once; only its answer takes long.
            async hit(key, hit) {
              const comes = answers.shift()
              const answer = await store.hit(key, hit)
              if (comes === 'late') {
                await pause(BUDGET_MS)
                throw new RedisUnavailable('slow', `no answer within ${BUDGET_MS} ms`)
              }
              if (comes === 'just in time') await pause(BUDGET_MS - 10)
              return answer
            },
          }
        },
      },
    })
    try {
      await app.untilStatus('redis')
      await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
      // Answered in time, so that one late answer in this second is no outage.
      for (let i = 0; i < 100; i += 1) await app.state.mark(`revoked:${i}`, 1, 60_000)
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
      answers.push('late', 'just in time')
      const late = hit()
      await pause(30)
      const inTime = hit()
      allowed.push(await late)
      const between = hit()
      allowed.push(...(await Promise.all([inTime, between])))
      expect(allowed.filter(Boolean)).toHaveLength(5)
      expect(app.stateRole.status().activations).toBe(0)
    } finally {
      await app.close()
      await redis.stop()
    }
  },
)
