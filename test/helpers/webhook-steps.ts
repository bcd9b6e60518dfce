// What webhook-process.ts is told: above all, at which step of a delivery it dies.

export const STEPS = [
  'as the handler begins',
  'as the handler ends',
  'before the commit',
  'after the commit',
  'after the claim',
] as const
export type Step = (typeof STEPS)[number]

export interface WebhookProcessOptions {
  redisUrl: string
  dataDir: string
}

/** From now on; sent to it as a message, which it sends back. */
export interface Orders {
  /** How far its clock is ahead. */
  aheadMs: number
  dieAt?: Step
}
