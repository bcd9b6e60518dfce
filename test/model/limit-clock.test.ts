// The one clock step that the seeds cannot play, because Redis' own clock stands still in them.
import { createKeyKinds } from '../../src/core/keys.ts'
import { connectRedis } from '../../src/core/redis/connection.ts'
import { createRedisStateStore } from '../../src/core/state/redis-state-store.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { targetOf } from '../helpers/stores.ts'

test("Redis keeps a limiter's log until its last hit has left the window, even if the clock was set back", async () => {
  const redis = await startRedis()
  const connection = connectRedis({
    target: targetOf(redis.url),
    ca: undefined,
    budgetMs: 5_000,
    trackPrefix: undefined,
  })
  try {
    await connection.open()
    const store = createRedisStateStore({
      connection,
      prefix: '',
      kindOf: createKeyKinds([]),
      isShared: true,
    })
    const [nowMs, limit, windowMs] = [Date.now(), 3, 600_000]
    await store.hit('limit:p:x', { id: 'before', nowMs: nowMs + 400_000, limit, windowMs })
    await store.hit('limit:p:x', { id: 'set back', nowMs, limit, windowMs })
    const [log] = await store.read(['limit:p:x'])
    expect(log?.expiresAtMs).toBeGreaterThanOrEqual(nowMs + 400_000 + windowMs)
  } finally {
    connection.close()
    await redis.stop()
  }
})
