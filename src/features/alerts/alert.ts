// Alerts, their crossings, and the ways users are notified: the types, and the schemas of what users send.
import { z } from 'zod'
import { coinId } from '../../lib/text/coin-id.ts'
import { DAY, MINUTE } from '../../lib/time.ts'
import { type Rule, type Watch, whens } from './crossing.ts'

/** How a user is notified of a crossing. Open pages always are, the others are chosen. */
export const ways = ['page', 'telegram', 'webhook'] as const
export type Way = (typeof ways)[number]
export const chosenWays = ['telegram', 'webhook'] as const
type ChosenWay = (typeof chosenWays)[number]

const languages = ['en', 'ru'] as const
export type Language = (typeof languages)[number]

/** `blocked`: paused by us, because the bot may not write to the user. `done`: it triggers once, and has. */
export type Status = 'open' | 'paused' | 'blocked' | 'done'

/** What the user asks for. */
export interface AlertSpec extends Rule {
  readonly coin: string
  readonly vs: string
  readonly repeat: 'once' | 'always'
  readonly notify: readonly ChosenWay[]
}

export interface Patch {
  readonly spec: Partial<AlertSpec>
  readonly isPaused: boolean | undefined
}

export interface Alert extends AlertSpec {
  readonly id: string
  readonly userId: string
  readonly language: Language
  readonly status: Status
  readonly watch: Watch
  /** How many crossings it has had: they are numbered from 1. */
  readonly triggerCount: number
  readonly createdAtMs: number
  /** Incremented by every change, so that of two concurrent changes one succeeds. */
  readonly version: number
}

/** What notifications say of a crossing. */
export interface Crossing {
  /** `alert:<id of the alert>:<number>`, the same in every notification. */
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
export const MOST_TRIGGERS_A_DAY = 500 // of each user, as of the last check
const MOST_VALUE = 1e15
const DEFAULT_COOLDOWN_MINUTES = 15
export const MOST_COOLDOWN_MINUTES = 30 * (DAY / MINUTE)

const asMs = (moment: string | null) => (moment === null ? undefined : Date.parse(moment))

/** The bodies of POST and PATCH, parsed. `currencies` are those with prices; the first is the default. */
export function alertSchemas(currencies: readonly string[]) {
  const fields = {
    coin: coinId,
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
      ({ cooldownMinutes, expiresAt, ...rest }): AlertSpec => ({
        ...rest,
        cooldownMs: cooldownMinutes * MINUTE,
        expiresAtMs: asMs(expiresAt),
      }),
    )
  // Fields that are not named stay absent, so that a patch can be spread over an alert.
  const patch = z
    .strictObject({ ...fields, paused: z.boolean() })
    .partial()
    .refine((given) => Object.keys(given).length > 0, 'name at least one field to change')
    .transform(
      ({ cooldownMinutes, expiresAt, paused, ...rest }): Patch => ({
        spec: {
          ...(rest as Partial<AlertSpec>),
          ...(cooldownMinutes !== undefined && { cooldownMs: cooldownMinutes * MINUTE }),
          ...(expiresAt !== undefined && { expiresAtMs: asMs(expiresAt) }),
        },
        isPaused: paused,
      }),
    )
  return { newAlert, patch }
}

export const languageOf = (tag: string | undefined): Language => (tag?.startsWith('ru') ? 'ru' : 'en')

/** Whether the bot may be able to write to them. */
export const isTelegramUser = (userId: string) => userId.startsWith('telegram:')
