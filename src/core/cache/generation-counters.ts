// Which cached entries a clear has made dead. Each clear bumps a counter in the state role, one each for all, a
// prefix and a tag; an entry carries the highest number known when its load began, so a load that began before a
// clear is dead too. No clock is compared: every number is above all that were known to the process that bumped it.
// A soft clear bumps fields of its own, `soft:` before the scope: an entry below one is stale instead of dead.
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { type ClearScope, generationField, SOFT } from '../keys.ts'
import { createParticipant, type Participant } from '../participant.ts'
import type { Fields, StateCounters } from '../state/state-counters.ts'
import type { EntryHead } from './cache-entry.ts'

const UNTRACKED_TRUST_MS = SECOND // where the server does not tell us of other processes' clears
const PREFIX = 'prefix:'
// Strangers may clear softly, and past 1,000 fields the lowest of all become a hard clear of everything
// (max-register-map.ts): beyond so many, a soft clear is one of everything.
const MOST_SOFT_FIELDS = 100

export interface ClearHow {
  /** Values become stale immediately, and stay usable while the source fails. */
  isSoft?: boolean
}

export interface GenerationCounters {
  /** The highest number known to this process: what an entry that is loaded now must carry. */
  top(): number
  isDead(key: string, head: Pick<EntryHead, 'generation' | 'tags'>): boolean
  /** Whether a soft clear has made it stale. */
  isStale(key: string, head: Pick<EntryHead, 'generation' | 'tags'>): boolean
  /** The last clear of either sort that concerns such an entry. */
  clearedAt(key: string, tags: readonly string[]): number
  /** Whether there has been a soft clear at all. */
  hasSoft(): boolean
  /**
   * Makes every entry of the scope dead that was loaded, or whose load began, before now; stale by a soft clear. The
   * clear's number: what it concerns carries a lower one.
   */
  raise(scope: ClearScope, how?: ClearHow): Promise<number>
  /** Whether Redis' counters have been read since the start: before that, its entries cannot be judged. */
  isLoaded(): boolean
  /** On each return of Redis: reads its counters; ours are merged into it with the other keys of the state. */
  readonly participant: Participant
}

export interface GenerationCountersOptions {
  counters: StateCounters
  log: Log
  now?: Now
}

export function createGenerationCounters(options: GenerationCountersOptions): GenerationCounters {
  const { counters, log, now = Date.now } = options
  let fields: Fields = new Map()
  // The fields that are prefixes, ready to be compared.
  let hardPrefixes: [string, number][] = []
  let softPrefixes: [string, number][] = []
  let softFields = 0
  let isLoaded = false
  let readAtMs = 0

  function take(changed: Fields): void {
    fields = changed
    hardPrefixes = prefixesIn(changed, PREFIX)
    softPrefixes = prefixesIn(changed, SOFT + PREFIX)
    softFields = [...changed.keys()].filter((field) => field.startsWith(SOFT)).length
  }
  take(counters.known())
  counters.onChange(take)

  const numberOf = (field: string) => fields.get(field) ?? 0

  function latest(sort: '' | typeof SOFT, key: string, tags: readonly string[]): number {
    let number = numberOf(`${sort}all`)
    for (const tag of tags) number = Math.max(number, numberOf(`${sort}tag:${tag}`))
    for (const [prefix, its] of sort === SOFT ? softPrefixes : hardPrefixes)
      if (its > number && key.startsWith(prefix)) number = its
    return number
  }

  // Asked by those who judge entries, so that an app nobody uses asks nothing of an external server.
  function refreshIfOld(): void {
    if (counters.isTracked() || !counters.isRedis() || now() - readAtMs < UNTRACKED_TRUST_MS) return
    readAtMs = now()
    counters.refresh()
  }

  function softField(scope: ClearScope): string {
    const field = SOFT + generationField(scope)
    return fields.has(field) || softFields < MOST_SOFT_FIELDS ? field : `${SOFT}all`
  }

  async function merge(): Promise<void> {
    const ours = fields
    const there = await counters.compare()
    const isMissing = ([field, number]: [string, number]) =>
      field !== 'top' && number > Math.max(there.get(field) ?? 0, there.get('all') ?? 0)
    const missing = [...ours].filter(isMissing).map(([field]) => field)
    if (missing.length > 0) {
      log.info(
        { fields: missing.length },
        'clears of the cache (кэш) that Redis had not seen are made in it now',
      )
      // The clock of another process may be ahead: what it loaded before these clears must be below their number, too.
      await counters.bump(missing, numberOf('top'))
    }
    await counters.send() // before any other key: what was cleared must not be served by others until then
    isLoaded = true
  }

  return {
    top: () => numberOf('top'),
    isDead(key, { generation, tags }) {
      refreshIfOld()
      return latest('', key, tags) > generation
    },
    isStale: (key, { generation, tags }) => softFields > 0 && latest(SOFT, key, tags) > generation,
    clearedAt: (key, tags) => Math.max(latest('', key, tags), softFields > 0 ? latest(SOFT, key, tags) : 0),
    hasSoft: () => softFields > 0,
    raise(scope, { isSoft = false } = {}) {
      return counters.bump(
        [isSoft ? softField(scope) : generationField(scope)],
        Math.max(numberOf('top'), now()),
      )
    },
    isLoaded: () => isLoaded,
    participant: createParticipant({ merge, isPending: counters.isPending }),
  }
}

const prefixesIn = (fields: Fields, word: string) =>
  [...fields].flatMap(([field, number]): [string, number][] =>
    field.startsWith(word) ? [[field.slice(word.length), number]] : [],
  )
