// What is asked of the stores, and in which proportions.
import { randomUUID } from 'node:crypto'
import type { ClearScope } from '../../src/core/keys.ts'
import type { Timestamp } from '../../src/core/state/kinds/kind.ts'
import type { Random } from '../helpers/random.ts'
import type { ModelApp } from './app.ts'
import type { Model } from './model.ts'

export const LIMIT = { limit: 3, windowMs: 600_000 }
const HOUR_MS = 3_600_000
const TTL_MS = 48 * HOUR_MS // longer than all clock steps together, so that nothing ends by itself
const TAGS: Record<string, readonly string[]> = {
  'coins:1': ['a'],
  'coins:2': ['a', 'b'],
  'countries:1': ['b'],
}
const SCOPES: readonly ClearScope[] = ['all', { prefix: 'coins:' }, { tag: 'a' }, { tag: 'b' }]

const WEIGHTS = {
  read: 7,
  write: 6,
  update: 5,
  destroy: 2,
  claim: 6,
  mark: 2,
  marked: 2,
  hit: 7,
  get: 7,
  invalidate: 2,
  clear: 2,
}
const BAG = Object.entries(WEIGHTS).flatMap(([name, weight]) => Array(weight).fill(name) as Name[])
type Name = keyof typeof WEIGHTS

/** One question to the store, and what it may answer: asked before, or after where the answer makes it so. */
export interface Question {
  readonly key: string
  readonly text: string
  ask(): Promise<unknown>
  allowed(answer: unknown, isCertain: boolean): readonly unknown[]
}

export interface QuestionsOptions {
  random: Random
  model: Model
  app: () => ModelApp
  step: () => number
}

export function createQuestions({ random, model, app, step }: QuestionsOptions) {
  const seen = new Map<string, { value: string; timestamp: Timestamp } | undefined>()
  const names = { session: ['session:0'], webhook: ['webhook:s:0'] }

  /** One of the last few of its kind, at times an old one, at times a new one. */
  function keyOf(kind: keyof typeof names): string {
    const known = names[kind]
    if (random.chance(0.12))
      known.push(kind === 'session' ? `session:${known.length}` : `webhook:s:${known.length}`)
    return random.pick(random.chance(0.2) ? known : known.slice(-4))
  }

  const questions: Record<Name, (key?: string) => Question> = {
    read(key = keyOf('session')) {
      return {
        key,
        text: `read ${key}`,
        async ask() {
          const found = await app().state.read(key)
          seen.set(key, found && { value: found.bytes.toString(), timestamp: found.timestamp })
          return found?.bytes.toString()
        },
        allowed: () => model.read(key),
      }
    },
    write() {
      const [key, value] = [keyOf('session'), `v${step()}`]
      return {
        key,
        text: `write ${key} ${value}`,
        ask: () => app().state.write(key, Buffer.from(value), TTL_MS),
        allowed: () => model.write(key, value),
      }
    },
    update() {
      const [key, value] = [keyOf('session'), `v${step()}`]
      const expected = random.chance(0.9) ? seen.get(key) : undefined
      return {
        key,
        text: `update ${key} ${value} over ${expected?.value}`,
        ask: () => app().state.update(key, Buffer.from(value), TTL_MS, expected?.timestamp),
        allowed: () => model.update(key, value, expected?.value),
      }
    },
    destroy() {
      const key = keyOf('session')
      return {
        key,
        text: `destroy ${key}`,
        ask: () => app().state.destroy(key, TTL_MS),
        allowed: () => model.destroy(key),
      }
    },
    claim(key = keyOf('webhook')) {
      const who = `w${step()}`
      return {
        key,
        text: `claim ${key} ${who}`,
        ask: async () => (await app().state.claim(key, Buffer.from(who), TTL_MS)).bytes.toString(),
        allowed: () => model.claim(key, who),
      }
    },
    mark() {
      const [key, number] = [`revoked:${random.below(2)}`, random.below(1_000)]
      return {
        key,
        text: `mark ${key} ${number}`,
        ask: () => app().state.mark(key, number, TTL_MS),
        allowed: () => model.mark(key, number),
      }
    },
    marked(key = `revoked:${random.below(2)}`) {
      return {
        key,
        text: `marked ${key}`,
        ask: () => app().state.marked(key),
        allowed: () => model.marked(key),
      }
    },
    hit() {
      const key = `limit:p:${random.below(2)}`
      const hit = { id: randomUUID(), nowMs: Date.now(), ...LIMIT }
      return {
        key,
        text: `hit ${key} at ${hit.nowMs}`,
        ask: async () => (await app().state.hit(key, hit)).allowed,
        allowed(answer, isCertain) {
          const allowed = model.hit(key, hit)
          if (answer === true || !isCertain) model.counted(key, hit.nowMs, answer === true)
          return allowed
        },
      }
    },
    get() {
      const key = random.pick(Object.keys(TAGS))
      const policy = { staleMs: HOUR_MS, tags: TAGS[key] ?? [], parse: Number }
      return {
        key,
        text: `get ${key}`,
        ask: async () => (await app().cache.getOrLoad(key, policy, async () => model.load(key))).value,
        allowed: () => model.get(key),
      }
    },
    invalidate() {
      let askedAt = 0
      const key = random.pick(Object.keys(TAGS))
      return {
        key,
        text: `invalidate ${key}`,
        async ask() {
          askedAt = model.loads()
          await app().cache.invalidate([key])
        },
        allowed: () => model.invalidate(key, askedAt),
      }
    },
    clear() {
      let askedAt = 0
      const scope = random.pick(SCOPES)
      return {
        key: 'cache',
        text: `clear ${JSON.stringify(scope)}`,
        async ask() {
          askedAt = model.loads()
          await app().cache.clear(scope)
        },
        allowed: () => model.clear(scope, askedAt),
      }
    },
  }
  return {
    next: () => questions[random.pick(BAG)](),
    /** About each key of the state that has been asked about. */
    everything: () => [
      ...names.session.map((key) => questions.read(key)),
      ...names.webhook.map((key) => questions.claim(key)),
      ...['revoked:0', 'revoked:1'].map((key) => questions.marked(key)),
    ],
  }
}

export const tagsOf = (key: string) => TAGS[key] ?? []

/** Whether the order of the two does not matter. */
export function areApart(a: Question, b: Question): boolean {
  return a.key !== b.key && !(isOfCache(a.key) && isOfCache(b.key))
}

const isOfCache = (key: string) => key === 'cache' || key in TAGS
