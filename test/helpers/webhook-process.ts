// The webhooks part of the app in a process of its own, which kills itself at the step it is told, as the kernel kills.
import { openWebhookApp, writeEffect } from './webhook-app.ts'
import type { Step, WebhookProcessOptions } from './webhook-steps.ts'

async function reach(step: Step, dieAt: Step | undefined): Promise<void> {
  if (step !== dieAt) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

const { redisUrl, dataDir, aheadMs, dieAt } = JSON.parse(process.argv[2] ?? '') as WebhookProcessOptions
const app = await openWebhookApp({
  redisUrl,
  dataDir,
  now: () => Date.now() + aheadMs,
  async handler(delivery, handling) {
    await reach('as the handler begins', dieAt)
    await writeEffect(delivery, handling)
    await reach('as the handler ends', dieAt)
  },
  between: {
    state: (state) => ({
      ...state,
      async claim(key, bytes, ttlMs) {
        const claim = await state.claim(key, bytes, ttlMs)
        await reach('after the claim', dieAt)
        return claim
      },
    }),
    records: (records) => ({
      ...records,
      async transaction(work) {
        const answer = await records.transaction(async (tx) => {
          const result = await work(tx)
          await reach('before the commit', dieAt)
          return result
        })
        await reach('after the commit', dieAt)
        return answer
      },
    }),
  },
})
const expected = redisUrl.includes(':1/') ? 'memory' : 'redis'
while (app.status() !== expected) await new Promise((resolve) => setTimeout(resolve, 10))
process.send?.(app.url)
