// The alerts part of the app in a process of its own, which makes its alerts, checks one step after another as it is
// told, and kills itself before it tells of a step, as the kernel kills.

import { makeThousand, SERIES } from './alert-series.ts'
import { fresh, openAlertsApp } from './alerts-app.ts'
import type { WebhookReceiver } from './webhook-receiver.ts'

export interface AlertsProcessOptions {
  redisUrl: string
  dataDir: string
  botUrl: string
  hooks: Pick<WebhookReceiver, 'url' | 'ca'>
  makes: boolean
  /** The steps of the series that it looks at. */
  steps: readonly number[]
  /** Dies between the decision of that step and its telling. */
  diesAt?: number
  /** How far its clock is ahead. */
  aheadMs: number
}

const options = JSON.parse(process.argv[2] ?? '') as AlertsProcessOptions
let step = options.steps[0] ?? 0
let isChecking = false
const app = await openAlertsApp({
  ...options,
  ca: options.hooks.ca,
  now: () => Date.now() + options.aheadMs,
  pricesOf: async (coins) => new Map(coins.map((coin) => [coin, fresh(SERIES[step] ?? 0)])),
  async beforeTelling() {
    if (!isChecking || step !== options.diesAt) return
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => {})
  },
})
while (app.status() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 10))
if (options.makes) await makeThousand(app, options.hooks as WebhookReceiver)
isChecking = true
for (step of options.steps) await app.check()
process.send?.('checked')
