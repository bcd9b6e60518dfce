// What features use: values and times in, versions made here.
import type { Now } from '../../lib/time.ts'
import { Refusal, stateFull } from '../errors.ts'
import { type FindKind, wordOf } from '../keys.ts'
import { membersOf } from './kinds/expiring-set.ts'
import { claimOf } from './kinds/first-write-wins-register.ts'
import type { HybridClock } from './kinds/hybrid-clock.ts'
import type { KindName, StateValue, ValueOf, VersionedEntry } from './kinds/kinds.ts'
import { type LwwRegister, lwwRegisterOf } from './kinds/lww-register.ts'
import type { Hit, HitResult, LogPlace } from './kinds/sliding-window-log.ts'
import type { CoarseCounts } from './limits/coarse-counts.ts'
import type { LimiterLogs } from './limits/limiter-logs.ts'
import type { Asked, State } from './state.ts'
import type { StateStore } from './state-store.ts'

/** What all clients together may do whose hits have room in no log, as a multiple of the last log's limit. */
const COARSE_FACTOR = 4

export interface StateOptions {
  store: StateStore
  kindOf: FindKind
  hybridClock: HybridClock
  /** Every key of the standby. */
  known: () => Iterable<string>
  /** In which of these logs a hit has room. */
  placeOf: LimiterLogs['place']
  /** Counts hits that have room in no log. */
  coarse: CoarseCounts
  now?: Now
}

export function createState(options: StateOptions): State {
  const { store, kindOf, hybridClock, known, placeOf, coarse, now = Date.now } = options

  /** A key of another kind would be written, and never read back: that is a bug of the caller. */
  function expectKind(key: string, kind: KindName): void {
    const declared = kindOf(key)
    if (declared === kind) return
    const word = wordOf(key) // the whole key may name a user
    throw new TypeError(
      `keys that begin with "${word}" are ${declared ? `declared as a ${declared}` : 'not declared'}, and this ` +
        `call is for a ${kind}: name the word and its kind in \`keys\` of the feature's manifest`,
    )
  }
  const entry = <V extends StateValue>(value: V, ttlMs: number): VersionedEntry<V> => ({
    value,
    expiresAtMs: now() + ttlMs,
  })
  const register = (key: string, bytes: Buffer | undefined): LwwRegister =>
    lwwRegisterOf(key, { timestamp: hybridClock.next(), bytes })
  async function find<K extends KindName>(
    key: string,
    kind: K,
    asked?: Asked,
  ): Promise<ValueOf<K> | undefined> {
    expectKind(key, kind)
    return (await store.find(key, asked?.madeAtMs))?.value as ValueOf<K> | undefined
  }
  return {
    async read(key, asked) {
      const found = await find(key, 'lww-register', asked)
      if (found) hybridClock.see(found.timestamp)
      return found?.bytes && { bytes: found.bytes, timestamp: found.timestamp }
    },
    async write(key, bytes, ttlMs) {
      expectKind(key, 'lww-register')
      return store.put(key, entry(register(key, bytes), ttlMs))
    },
    async update(key, bytes, ttlMs, expected, asked) {
      expectKind(key, 'lww-register')
      return store.replace(key, entry(register(key, bytes), ttlMs), expected, asked?.madeAtMs)
    },
    async destroy(key, ttlMs) {
      expectKind(key, 'lww-register')
      await store.put(key, entry(register(key, undefined), ttlMs))
    },
    async claim(key, bytes, ttlMs, asked) {
      expectKind(key, 'first-write-wins-register')
      const claim = entry(claimOf(key, hybridClock.next(), bytes), ttlMs)
      const winner = await store.claim(key, claim, asked?.madeAtMs)
      return { taken: winner.value.bytes.equals(bytes), bytes: winner.value.bytes }
    },
    claimed: async (key, asked) => (await find(key, 'first-write-wins-register', asked))?.bytes,
    async mark(key, number, ttlMs) {
      expectKind(key, 'max-register')
      if (await store.put(key, entry({ kind: 'max-register', number }, ttlMs))) return number
      return (await find(key, 'max-register'))?.number ?? number
    },
    marked: async (key, asked) => (await find(key, 'max-register', asked))?.number,
    async include(key, member, ttlMs) {
      expectKind(key, 'expiring-set')
      const members = [{ id: member, untilMs: now() + ttlMs }]
      await store.put(key, entry(membersOf(key, members), ttlMs))
    },
    async members(key) {
      const found = await find(key, 'expiring-set')
      return (found?.members ?? []).filter(({ untilMs }) => untilMs > now()).map(({ id }) => id)
    },
    async hit(key, hit, coarser = []) {
      const own: LogPlace = { key, limit: hit.limit }
      for (const place of [own, ...coarser]) expectKind(place.key, 'sliding-window-log')
      expectCost(hit)
      const place = placeOf([own, ...coarser], hit)
      try {
        if (place) return within(await store.hit(place.key, { ...hit, limit: place.limit }), hit)
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== stateFull().code) throw error
      }
      const last = coarser.at(-1)
      if (!last) return coarse.hit(key, hit)
      return within(coarse.hit(last.key, { ...hit, limit: last.limit * COARSE_FACTOR }), hit)
    },
    async hits(key, windowMs) {
      const found = await find(key, 'sliding-window-log', { madeAtMs: now() })
      return (found?.hits ?? []).filter(({ atMs }) => Math.floor(atMs) > now() - windowMs).length
    },
    list: async (word) => [...known()].filter((key) => wordOf(key) === word),
  }
}

/** A log that many share has a higher limit: what is left is said of the one that was asked for. */
const within = (result: HitResult, { limit }: Hit): HitResult => ({
  ...result,
  remaining: Math.min(result.remaining, limit),
})

/** A hit that costs more than the limit could never be allowed: that is a bug of the caller. */
function expectCost({ cost = 1, limit }: Hit): void {
  if (!Number.isInteger(cost) || cost < 1 || cost > limit)
    throw new TypeError(`a hit that costs ${cost} under a limit of ${limit}`)
}
