// The same from behind a trusted proxy where memory is all that there is, and little.
import { withoutRedis } from './attacks.ts'
import { attackAll } from './stage.ts'

const env = {
  TRUST_PROXY: '1',
  ADMIN_TOKEN: 'the-token-of-the-admin',
  REDIS_URL: 'off',
  MEMORY_BUDGET_MB: '4',
}
attackAll({ env, isProxied: true, isMemoryOnly: true }, withoutRedis)
