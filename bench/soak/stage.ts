// What the soak runs on: the container that is broken, its volume, the control beside it, and the gaps, the times in
// which nobody may be there to answer.
import { bootBare } from '../../test/helpers/bare-container.ts'
import { BOT_TOKEN } from '../../test/helpers/fake-bot-api.ts'
import { boot, type Container, createVolume, type Samovar, until } from '../../test/helpers/image.ts'
import type { Market } from './fake-market.ts'
import type { Options } from './options.ts'

export const ADMIN_TOKEN = 'the-admin-token-of-the-soak'
export const WEBHOOK_SECRET = Buffer.alloc(32, 'soak').toString('base64')

/** What is under way when a gap ends may still fail. */
const AFTER_A_GAP_MS = 2_000

export interface Gap {
  readonly what: string
  readonly fromMs: number
  toMs: number
}

export interface Stage {
  readonly bare: Container
  /** The container that has the data, or is about to. */
  current(): Samovar
  /** One of those that clients are sent to: two for a moment in a redeploy. */
  origin(): string
  /** Does it as a gap of that name. */
  gap<T>(what: string, work: () => Promise<T>): Promise<T>
  /** The gap that was somewhere between the two moments. */
  gapBetween(fromMs: number, toMs: number): string | undefined
  /** Another container on the same volume. */
  bootAnother(): Promise<Samovar>
  serveFrom(...containers: Samovar[]): void
  /** Keeps the log of a container that goes. */
  retire(log: string): void
  /** What all of them have said. */
  log(): Promise<string>
}

export async function openStage({ cpus, memoryMb }: Options, market: Market): Promise<Stage> {
  const limits = { cpus, memoryMb }
  const volume = await createVolume()
  const bootAnother = () =>
    boot({
      ...limits,
      volume,
      files: market.files,
      env: {
        ...market.env,
        ADMIN_TOKEN,
        TRUST_PROXY: '1', // clients say who they are, as behind a platform's proxy
        TELEGRAM_BOT_TOKEN: BOT_TOKEN,
        WEBHOOK_SECRETS: `soak=${WEBHOOK_SECRET}`,
      },
    })
  const bare = await bootBare(limits)
  await bare.firstAnswerMs('/')
  let serving = [await bootAnother()]
  const gaps: Gap[] = []
  const retired: string[] = []
  let turn = 0
  const current = () => serving.at(-1) as Samovar

  await until('the container serves', async () => (await current().get('/readyz')).status === 200)
  await current().status('redis')
  return {
    bare,
    current,
    origin() {
      turn += 1
      return (serving[turn % serving.length] as Samovar).origin()
    },
    async gap(what, work) {
      const gap: Gap = { what, fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY }
      gaps.push(gap)
      try {
        return await work()
      } finally {
        gap.toMs = Date.now() + AFTER_A_GAP_MS
      }
    },
    gapBetween: (fromMs, toMs) => gaps.find((gap) => gap.fromMs <= toMs && gap.toMs >= fromMs)?.what,
    bootAnother,
    serveFrom(...containers) {
      serving = containers
    },
    retire: (log) => void retired.push(log),
    log: async () => [...retired, await current().text()].join('\n'),
  }
}
