// The webhooks part of the app in a process of its own, which kills itself at the step it is told, as the kernel kills.
import { openWebhookApp, writeEffect } from './webhook-app.ts'
import type { Orders, Step, WebhookProcessOptions } from './webhook-steps.ts'

let orders: Orders = { aheadMs: 0 }

async function reach(step: Step): Promise<void> {
  if (step !== orders.dieAt) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

const { redisUrl, dataDir } = JSON.parse(process.argv[2] ?? '') as WebhookProcessOptions
const app = await openWebhookApp({
  redisUrl,
  dataDir,
  now: () => Date.now() + orders.aheadMs,
  async handler(delivery, handling) {
    await reach('as the handler begins')
    await writeEffect(delivery, handling)
    await reach('as the handler ends')
  },
  between: {
    state: (state) => ({
      ...state,
      async claim(key, bytes, ttlMs) {
        const claim = await state.claim(key, bytes, ttlMs)
        await reach('after the claim')
        return claim
      },
    }),
    records: (records) => ({
      ...records,
      async transaction(work) {
        const answer = await records.transaction(async (tx) => {
          const result = await work(tx)
          await reach('before the commit')
          return result
        })
        await reach('after the commit')
        return answer
      },
    }),
  },
})
const expected = redisUrl.includes(':1/') ? 'memory' : 'redis'
while (app.status() !== expected) await new Promise((resolve) => setTimeout(resolve, 10))
process.on('message', (given: Orders) => {
  orders = given
  process.send?.(given)
})
process.send?.(app.url)
