// Steady mixed traffic on a subject, and the ledger of what it was told: every acknowledged operation, and every answer
// that contradicts one. Sessions have one owner each, so that their order is known; claims, limits, marks and cached
// values are shared by all callers.
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from './eventually.ts'
import type { LoopClock } from './loop-clock.ts'
import { createRandom, type Random } from './random.ts'
import { LIMIT, NobodyAnswered, type Subject } from './subject.ts'

const CALLERS = 12
const BETWEEN_MS = 8
const PATIENCE_MS = 6_000
const CACHED_KEYS = 20
const USERS = 5
const CALLS_A_LIMIT = 100 // a new limit comes after so many: some are used up before the fault, some after it

export interface SessionEntry {
  /** The last version that was acknowledged, and the last that was sent. */
  acknowledged: number
  sent: number
  destroyed: 'no' | 'sent' | 'acknowledged'
}

/** What must not happen, by the names under which the table counts it. */
export interface Violations {
  failed: number
  missing: number
  cameBack: number
  overLimit: number
  claimedTwice: number
}

export interface Ledger extends Violations {
  calls: number
  /** Calls that were refused with `state_full`. */
  refused: number
  /** The slowest call by the wall clock, which a machine that stands still makes longer; and by the loop's clock. */
  worstMs: number
  worstByLoopMs: number
  msIn: Record<'redis' | 'memory' | 'merging', number>
  /** The first few violations, in words. */
  readonly examples: string[]
  readonly sessions: Map<string, SessionEntry>
  readonly claims: Map<string, string[]>
  readonly hits: Map<string, number>
  readonly marks: Map<string, number>
  /** What the source holds, and below which version no cached answer may be. */
  readonly source: Map<string, number>
  readonly floor: Map<string, number>
  violated(what: keyof Violations, words: string): void
}

export interface Traffic {
  readonly ledger: Ledger
  /** Goes on with another process of the subject. */
  useSubject(subject: Subject): void
  start(): void
  /** So many new sessions at once. */
  burst(writes: number): Promise<void>
  /** Resolves when the calls under way have ended. Those that have not within seconds are counted as failed. */
  stop(): Promise<void>
}

export function createLedger(): Ledger {
  const ledger: Ledger = {
    calls: 0,
    failed: 0,
    refused: 0,
    missing: 0,
    cameBack: 0,
    overLimit: 0,
    claimedTwice: 0,
    worstMs: 0,
    worstByLoopMs: 0,
    msIn: { redis: 0, memory: 0, merging: 0 },
    examples: [],
    sessions: new Map(),
    claims: new Map(),
    hits: new Map(),
    marks: new Map(),
    source: new Map(),
    floor: new Map(),
    violated(what, words) {
      ledger[what] += 1
      if (ledger.examples.length < 12) ledger.examples.push(`${what}: ${words}`)
    },
  }
  return ledger
}

export function createTraffic(first: Subject, seed: number, loop: Pick<LoopClock, 'elapsedMs'>): Traffic {
  const ledger = createLedger()
  const run = randomUUID().slice(0, 8)
  const underWay = new Map<symbol, { name: string; ended: () => void }>()
  let subject = first
  let isRunning = false
  let callers: Promise<void>[] = []
  let count = 0
  let version = 0
  const random = createRandom(seed)

  /** The answer; undefined when there was none. Knows how long it took, and that a refusal for fullness has a name. */
  async function ask<T>(name: string, call: () => Promise<T>): Promise<{ answer: T } | undefined> {
    const token = Symbol()
    const ended = startTiming()
    underWay.set(token, { name, ended })
    ledger.calls += 1
    try {
      return { answer: await call() }
    } catch (error) {
      if (error instanceof NobodyAnswered) return undefined
      if ((error as { code?: string }).code === 'state_full') ledger.refused += 1
      else ledger.violated('failed', `${name}: ${error instanceof Error ? error.message : String(error)}`)
      return undefined
    } finally {
      underWay.delete(token)
      ended()
    }
  }

  function startTiming(): () => void {
    const [askedAtMs, askedByLoopMs] = [performance.now(), loop.elapsedMs()]
    return () => {
      ledger.worstMs = Math.max(ledger.worstMs, performance.now() - askedAtMs)
      ledger.worstByLoopMs = Math.max(ledger.worstByLoopMs, loop.elapsedMs() - askedByLoopMs)
    }
  }

  async function caller(number: number): Promise<void> {
    const own: string[] = []
    while (isRunning) {
      await step(own, number, random)
      await pause(BETWEEN_MS)
    }
  }

  async function step(own: string[], number: number, { below, chance, pick }: Random): Promise<void> {
    const dice = below(100)
    if (dice < 25) await write(own, number, chance(0.5) || own.length === 0)
    else if (dice < 45 && own.length > 0) await readSession(pick(own))
    else if (dice < 50 && own.length > 0) await destroy(pick(own))
    else if (dice < 62) await claim(`${run}:${Math.max(0, nextOf('claim') - below(30))}`)
    else if (dice < 74) await hit(`${run}:${below(3 + Math.floor(ledger.calls / CALLS_A_LIMIT))}`)
    else if (dice < 80) await mark(`${run}:${below(USERS)}`)
    else if (dice < 94) await readCached(`item:${run}:${below(CACHED_KEYS)}`)
    else if (dice < 99) await invalidate(`item:${run}:${below(CACHED_KEYS)}`)
    else await clear()
  }

  const counters = new Map<string, number>()
  function nextOf(name: string): number {
    const next = (counters.get(name) ?? 0) + 1
    counters.set(name, next)
    return Math.floor(next / 2)
  }

  async function write(own: string[], number: number, isNew: boolean): Promise<void> {
    count += 1
    const key = isNew ? `${run}:${number}:${count}` : (own[count % own.length] ?? '')
    const entry = ledger.sessions.get(key) ?? { acknowledged: 0, sent: 0, destroyed: 'no' }
    if (entry.destroyed !== 'no') return
    if (isNew) own.push(key)
    ledger.sessions.set(key, entry)
    entry.sent += 1
    const sent = entry.sent
    if (await ask('write', () => subject.writeSession(key, String(sent)))) entry.acknowledged = sent
  }

  async function readSession(key: string): Promise<void> {
    const entry = ledger.sessions.get(key)
    const got = await ask('read', () => subject.readSession(key))
    if (entry && got) judgeSession(ledger, key, entry, got.answer)
  }

  async function destroy(key: string): Promise<void> {
    const entry = ledger.sessions.get(key)
    if (!entry) return
    if (entry.destroyed === 'no') entry.destroyed = 'sent'
    if (await ask('destroy', () => subject.destroySession(key))) entry.destroyed = 'acknowledged'
  }

  async function claim(key: string): Promise<void> {
    const who = randomUUID()
    const got = await ask('claim', () => subject.claim(key, who))
    if (!got?.answer) return
    const takers = [...(ledger.claims.get(key) ?? []), who]
    ledger.claims.set(key, takers)
    if (takers.length > 1) ledger.violated('claimedTwice', `${key} was given to ${takers.length} callers`)
  }

  async function hit(key: string): Promise<void> {
    const got = await ask('hit', () => subject.hit(key, randomUUID()))
    if (got?.answer) countHit(ledger, key)
  }

  async function mark(key: string): Promise<void> {
    count += 1
    const number = count
    if (!(await ask('mark', () => subject.mark(key, number)))) return
    ledger.marks.set(key, Math.max(number, ledger.marks.get(key) ?? 0))
    const floor = ledger.marks.get(key) ?? 0
    const got = await ask('marked', () => subject.marked(key))
    if (got) judgeMark(ledger, key, floor, got.answer)
  }

  async function readCached(key: string): Promise<void> {
    const floor = ledger.floor.get(key) ?? 0
    const got = await ask('cache read', () =>
      subject.readCached(key, async () => String(ledger.source.get(key) ?? 0)),
    )
    if (got) judgeCached(ledger, key, floor, got.answer)
  }

  function changeSource(key: string): void {
    version += 1
    ledger.source.set(key, version)
  }

  const raiseFloor = (key: string, to: number) =>
    ledger.floor.set(key, Math.max(to, ledger.floor.get(key) ?? 0))

  async function invalidate(key: string): Promise<void> {
    changeSource(key)
    const changed = version
    if (await ask('invalidate', () => subject.invalidate(key))) raiseFloor(key, changed)
  }

  async function clear(): Promise<void> {
    for (let i = 0; i < CACHED_KEYS; i += 1) changeSource(`item:${run}:${i}`)
    const changed = [...ledger.source]
    if (await ask('clear', () => subject.clear())) for (const [key, to] of changed) raiseFloor(key, to)
  }

  return {
    ledger,
    useSubject(next) {
      subject = next
    },
    start() {
      isRunning = true
      callers = Array.from({ length: CALLERS }, (_, number) => caller(number))
    },
    async burst(writes) {
      const nobody: string[] = []
      await Promise.all(Array.from({ length: writes }, () => write(nobody, CALLERS, true)))
    },
    async stop() {
      isRunning = false
      let haveEnded = false
      void Promise.all(callers).then(() => {
        haveEnded = true
      })
      const expectEnd = () => {
        if (!haveEnded) throw new Error('a call has not ended')
      }
      await eventually(expectEnd, PATIENCE_MS).catch(() => {}) // it is counted below
      for (const { name, ended } of underWay.values()) {
        ledger.violated('failed', `${name}: never answered`)
        ended()
      }
      underWay.clear()
      callers = []
    },
  }
}

export function judgeSession(
  ledger: Ledger,
  key: string,
  entry: SessionEntry,
  found: string | undefined,
): void {
  if (found === undefined) {
    if (entry.destroyed === 'no' && entry.acknowledged > 0) ledger.violated('missing', `session ${key}`)
    return
  }
  if (entry.destroyed === 'acknowledged') ledger.violated('cameBack', `session ${key}, destroyed`)
  else if (Number(found) < entry.acknowledged)
    ledger.violated('missing', `session ${key}: version ${found} of ${entry.acknowledged}`)
}

export function judgeMark(ledger: Ledger, key: string, floor: number, found: number | undefined): void {
  if ((found ?? 0) < floor) ledger.violated('missing', `mark ${key}: ${found} instead of ${floor}`)
}

export function judgeCached(ledger: Ledger, key: string, floor: number, found: string): void {
  if (Number(found) < floor) ledger.violated('cameBack', `${key}: version ${found}, cleared at ${floor}`)
}

export function countHit(ledger: Ledger, key: string): void {
  const allowed = (ledger.hits.get(key) ?? 0) + 1
  ledger.hits.set(key, allowed)
  if (allowed > LIMIT) ledger.violated('overLimit', `${key}: ${allowed} of ${LIMIT}`)
}
