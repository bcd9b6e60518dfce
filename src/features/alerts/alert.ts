// An alert, a crossing of it and the ways it is told: their types, and the schemas of what users say about them.
import { z } from 'zod'
import { DAY, MINUTE } from '../../lib/time.ts'
import { type Rule, type Watch, whens } from './crossing.ts'

/** How a crossing is told. Open pages hear of every one, the others are chosen. */
export const ways = ['page', 'telegram', 'webhook'] as const
export type Way = (typeof ways)[number]
export const chosenWays = ['telegram', 'webhook'] as const
type ChosenWay = (typeof chosenWays)[number]

const languages = ['en', 'ru'] as const
export type Language = (typeof languages)[number]

/** `blocked`: paused by us, because Telegram may not write to the user. `done`: it was to ring once, and has. */
export type Status = 'open' | 'paused' | 'blocked' | 'done'

/** What the user asks for. */
export interface Wish extends Rule {
  readonly coin: string
  readonly vs: string
  readonly repeat: 'once' | 'always'
  readonly notify: readonly ChosenWay[]
}

export interface Alert extends Wish {
  readonly id: string
  readonly userId: string
  readonly language: Language
  readonly status: Status
  readonly watch: Watch
  /** How many crossings it has had: they are numbered from 1. */
  readonly rings: number
  readonly createdAtMs: number
  /** Raised by every change, so that two who change it at once do not both. */
  readonly version: number
}

/** What is told of a crossing. */
export interface Crossing {
  /** `alert:<id of the alert>:<number>`, the same however often it is told. */
  readonly id: string
  readonly alertId: string
  readonly coin: string
  readonly vs: string
  readonly when: Rule['when']
  readonly value: number
  readonly price: number
  /** Of `changes`: the price it is compared with. */
  readonly referencePrice: number | null
  readonly crossedAt: string
}

export const MOST_ALERTS = 100 // of each user
const MOST_VALUE = 1e15
const MOST_COOLDOWN_MINUTES = 30 * (DAY / MINUTE)

/** The fields that a user sets, in a body of POST and, each of them optional, of PATCH. `currencies` are those with prices. */
export function wishFields(currencies: readonly string[]) {
  return {
    coin: z.string().regex(/^[a-z0-9-]{1,100}$/, 'must be an id of CoinGecko, such as bitcoin'),
    vs: z.enum(currencies, { error: `must be one of ${currencies.join(', ')}` }),
    when: z.enum(whens, { error: `must be one of ${whens.join(', ')}` }),
    value: z.number().positive('must be more than 0').max(MOST_VALUE),
    repeat: z.enum(['once', 'always'], { error: 'must be once or always' }),
    cooldownMinutes: z.int().min(0).max(MOST_COOLDOWN_MINUTES),
    expiresAt: z.iso.datetime({ offset: true, error: 'must be a moment, such as 2027-01-31T12:00:00Z' }).nullable(),
    notify: z
      .array(z.enum(chosenWays, { error: `must be among ${chosenWays.join(', ')}` }))
      .max(chosenWays.length)
      .transform((given) => [...new Set(given)]),
  }
}

export const languageOf = (tag: string | undefined): Language => (tag?.startsWith('ru') ? 'ru' : 'en')
