// Which cached entries a clear has made dead. Each clear bumps a counter in the state role, one each for all, a
// prefix and a tag; an entry carries the highest number known when its load began, so a load that began before a
// clear is dead too. No clock is compared: every number is above all that were known to the process that bumped it.
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { type ClearScope, generationField } from '../keys.ts'
import { createParticipant, type Participant } from '../participant.ts'
import type { Fields, StateCounters } from '../state/state-counters.ts'
import type { EntryHead } from './cache-entry.ts'

const UNTRACKED_TRUST_MS = SECOND // where the server does not tell us of other processes' clears
const PREFIX = 'prefix:'

export interface GenerationCounters {
  /** The highest number known to this process: what an entry that is loaded now must carry. */
  top(): number
  isDead(key: string, head: Pick<EntryHead, 'generation' | 'tags'>): boolean
  /** Makes every entry of the scope dead that was loaded, or whose load began, before now. */
  raise(scope: ClearScope): Promise<void>
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
  let prefixes: [string, number][] = [] // the fields that are prefixes, ready to be compared
  let isLoaded = false
  let readAtMs = 0

  function take(changed: Fields): void {
    fields = changed
    prefixes = [...changed].flatMap(([field, number]) =>
      field.startsWith(PREFIX) ? [[field.slice(PREFIX.length), number]] : [],
    )
  }
  take(counters.known())
  counters.onChange(take)

  const numberOf = (field: string) => fields.get(field) ?? 0

  // Asked by those who judge entries, so that an app nobody uses asks nothing of an external server.
  function refreshIfOld(): void {
    if (counters.isTracked() || !counters.isRedis() || now() - readAtMs < UNTRACKED_TRUST_MS) return
    readAtMs = now()
    counters.refresh()
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
      if (numberOf('all') > generation) return true
      for (const tag of tags) if (numberOf(`tag:${tag}`) > generation) return true
      for (const [prefix, number] of prefixes) if (number > generation && key.startsWith(prefix)) return true
      return false
    },
    async raise(scope) {
      await counters.bump([generationField(scope)], Math.max(numberOf('top'), now()))
    },
    isLoaded: () => isLoaded,
    participant: createParticipant({ merge, isPending: counters.isPending }),
  }
}
