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

export interface Patch {
  readonly wish: Partial<Wish>
  readonly isPaused: boolean | undefined
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
  /** When the source last changed that price; ISO. */
  readonly asOf: string
  /** Of `changes`: the price it is compared with. */
  readonly referencePrice: number | null
  readonly crossedAt: string
}

export const MOST_ALERTS = 100 // of each user
export const MOST_RINGS_A_DAY = 500 // of each user, once a check has seen that there are so many
const MOST_VALUE = 1e15
const DEFAULT_COOLDOWN_MINUTES = 15
export const MOST_COOLDOWN_MINUTES = 30 * (DAY / MINUTE)

const asMs = (moment: string | null) => (moment === null ? undefined : Date.parse(moment))

/** The bodies of POST and PATCH, parsed to what they ask for. `currencies` are those with prices; the first is meant when none is named. */
export function alertSchemas(currencies: readonly string[]) {
  const fields = {
    coin: z.string().regex(/^[a-z0-9-]{1,100}$/, 'must be an id of CoinGecko, such as bitcoin'),
    vs: z.enum(currencies, { error: `must be one of ${currencies.join(', ')}` }),
    when: z.enum(whens, { error: `must be one of ${whens.join(', ')}` }),
    value: z.number().positive('must be more than 0').max(MOST_VALUE),
    repeat: z.enum(['once', 'always'], { error: 'must be once or always' }),
    cooldownMinutes: z.int().min(0).max(MOST_COOLDOWN_MINUTES),
    expiresAt: z.iso
      .datetime({ offset: true, error: 'must be a moment, such as 2027-01-31T12:00:00Z' })
      .nullable(),
    notify: z
      .array(z.enum(chosenWays, { error: `must be among ${chosenWays.join(', ')}` }))
      .max(chosenWays.length)
      .transform((given) => [...new Set(given)]),
  }
  const newAlert = z
    .strictObject({
      ...fields,
      vs: fields.vs.default(currencies[0] ?? ''),
      repeat: fields.repeat.default('once'),
      cooldownMinutes: fields.cooldownMinutes.default(DEFAULT_COOLDOWN_MINUTES),
      expiresAt: fields.expiresAt.default(null),
      notify: fields.notify.default([...chosenWays]),
    })
    .transform(
      ({ cooldownMinutes, expiresAt, ...rest }): Wish => ({
        ...rest,
        cooldownMs: cooldownMinutes * MINUTE,
        expiresAtMs: asMs(expiresAt),
      }),
    )
  // What is not named stays away, so that a patch can be laid over an alert.
  const patch = z
    .strictObject({ ...fields, paused: z.boolean() })
    .partial()
    .refine((given) => Object.keys(given).length > 0, 'name at least one field to change')
    .transform(
      ({ cooldownMinutes, expiresAt, paused, ...rest }): Patch => ({
        wish: {
          ...(rest as Partial<Wish>),
          ...(cooldownMinutes !== undefined && { cooldownMs: cooldownMinutes * MINUTE }),
          ...(expiresAt !== undefined && { expiresAtMs: asMs(expiresAt) }),
        },
        isPaused: paused,
      }),
    )
  return { newAlert, patch }
}

export const languageOf = (tag: string | undefined): Language => (tag?.startsWith('ru') ? 'ru' : 'en')
