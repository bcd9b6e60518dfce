// Which cached entries a clear has made dead. Clears are numbers in the state role, one each for all, a prefix and a
// tag; an entry carries the last number known when its load began, so a load that began before a clear is dead too.
// No clock is compared: every number is above all that were known to whoever raised it.

import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { type ClearScope, generationField, keys } from '../keys.ts'
import type { StateDisk } from '../state/disk/state-disk.ts'
import type { OnDisk } from '../state/disk/state-files.ts'
import type { StateNumbers } from '../state/state-role.ts'
import type { Generations } from '../state/state-store.ts'
import type { EntryHead } from './cache-entry.ts'

const FACT = 'clears'
const UNTRACKED_TRUST_MS = SECOND // where the server does not tell us of other processes' clears

export interface GenerationCounters extends OnDisk {
  /** The last number known to this process: what an entry that is loaded now must carry. */
  top(): number
  isDead(key: string, head: Pick<EntryHead, 'generation' | 'tags'>): boolean
  /** Makes every entry of the scope dead that was loaded, or whose load began, before now. */
  raise(scope: ClearScope): Promise<void>
  /** Whether Redis' numbers have been read since the start: before that, its entries cannot be judged. */
  isLoaded(): boolean
  /** Redis' numbers changed: read them again. */
  refresh(): Promise<void>
  /** On Redis' return: learns its numbers, and teaches it ours where it lost them. */
  synchronize(): Promise<void>
  /** Whether a clear was made that Redis has not been taught. */
  isPending(): boolean
}

export interface ClearNumbersOptions {
  numbers: StateNumbers
  log: Log
  now?: Now
}

export function createGenerationCounters(options: ClearNumbersOptions): GenerationCounters {
  const { numbers: role, log, now = Date.now } = options
  const numbers = new Map<string, number>()
  const prefixes = new Map<string, number>() // the fields that are prefixes, ready to be compared
  let loaded = false
  let pending = false
  let readAtMs = 0
  let disk: StateDisk | undefined

  function remember(): void {
    disk?.setMetadata(FACT, JSON.stringify([...numbers]))
  }

  const numberOf = (field: string) => numbers.get(field) ?? 0

  function learn(fields: Generations): void {
    const all = Math.max(numberOf('all'), fields.get('all') ?? 0)
    const before = numberOf('top')
    for (const [field, number] of fields) numbers.set(field, Math.max(numberOf(field), number))
    // What Redis has folded into `all` need not be kept here.
    for (const [field, number] of numbers) {
      if (!fields.has(field) && field !== 'all' && field !== 'top' && number <= all) numbers.delete(field)
    }
    prefixes.clear()
    for (const [field, number] of numbers) {
      if (field.startsWith('prefix:')) prefixes.set(field.slice('prefix:'.length), number)
    }
    if (numberOf('top') > before) remember()
  }

  // Asked by those who judge entries, so that an app nobody uses asks nothing of a rented server.
  function refreshIfOld(): void {
    if (role.isTracked() || !role.isRedis() || now() - readAtMs < UNTRACKED_TRUST_MS) return
    readAtMs = now()
    void refresh()
  }

  async function refresh(): Promise<void> {
    learn(await role.store.generations(keys.generations))
  }

  async function synchronize(): Promise<void> {
    pending ||= role.takeRaisedAway()
    const remote = await role.redis.generations(keys.generations)
    const remoteAll = remote.get('all') ?? 0
    const lost = [...numbers.keys()].filter(
      (field) => field !== 'top' && numberOf(field) > Math.max(remote.get(field) ?? 0, remoteAll),
    )
    learn(remote)
    if (lost.length > 0) {
      log.info(
        { fields: lost.length },
        'clears of the cache (кэш) that Redis had not seen are made in it now',
      )
      const number = await role.redis.raise(keys.generations, lost, numberOf('top'))
      learn(new Map([...lost, 'top'].map((field) => [field, number])))
    }
    loaded = true
    pending = false
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
      const field = generationField(scope)
      const number = await role.store.raise(keys.generations, [field], Math.max(numberOf('top'), now()))
      learn(new Map([...numbers, [field, number], ['top', number]]))
    },
    isLoaded: () => loaded,
    isPending() {
      pending ||= role.takeRaisedAway()
      return pending
    },
    useDisk(opened) {
      disk = opened
      const text = disk?.metadata(FACT)
      if (text) learn(union(numbers, new Map(JSON.parse(text) as [string, number][])))
      remember()
    },
    refresh,
    synchronize,
  }
}

function union(a: Generations, b: Generations): Generations {
  const fields = [...new Set([...a.keys(), ...b.keys()])]
  return new Map(fields.map((field) => [field, Math.max(a.get(field) ?? 0, b.get(field) ?? 0)]))
}
