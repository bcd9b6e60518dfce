// Names of keys, but for those of cached values, which their features give, as operators look them up. The first
// word of a key of the state role says of which kind its value is (state/kinds), and so how two versions of it
// become one. Core declares its own words here, and each feature its own where it lives.
import type { KindName } from './state/kinds/kinds.ts'

/** What a clear clears. */
export type ClearScope = 'all' | { readonly prefix: string } | { readonly tag: string }

/** Words of keys, and the kind of each. What `openSamovar` is given by each feature. */
export interface DeclaredKeys {
  readonly kinds: Readonly<Record<string, KindName>>
}

/** For each word a function that makes a key of it: `sessionKeys.session(hash)` is `session:<hash>`. */
export type KeysOf<K extends DeclaredKeys['kinds']> = {
  readonly [W in keyof K]: (...parts: string[]) => string
} & { readonly kinds: K }

/** Declares the words of a feature's keys in the state role: `defineKeys({ session: 'lww-register' })`. */
export function defineKeys<const K extends DeclaredKeys['kinds'] & { kinds?: never }>(kinds: K): KeysOf<K> {
  const makers = Object.keys(kinds).map((word) => [word, (...parts: string[]) => [word, ...parts].join(':')])
  return { ...Object.fromEntries(makers), kinds }
}

const core = defineKeys({
  /** When the last requests under a policy were made, and by whom. */
  limit: 'sliding-window-log',
  /** Who is doing right now what the key in it says, once it is done. */
  running: 'lww-register',
  /** A job that has been done. */
  done: 'first-write-wins-register',
  /** How often a dead letter was run again, by hand. */
  retries: 'max-register',
  /** A job that has been done, or failed, when it was run again so often. */
  redone: 'first-write-wins-register',
  /** The last run of a schedule, by its number. */
  scheduled: 'max-register',
  /** The numbers of the cache's clears, one field each for all, a prefix and a tag. */
  generations: 'max-register-map',
})

export const keys = {
  limit: (policy: string, who: string) => core.limit(policy, who),
  running: (done: string) => core.running(done),
  job: (name: string, id: string, retries = 0) =>
    retries === 0 ? core.done(name, id) : core.redone(String(retries), name, id),
  jobRetries: (name: string, id: string) => core.retries(name, id),
  scheduled: (name: string) => core.scheduled(name),
  generations: core.generations(),
  /** State role: its epoch, and how far each process has come in it. */
  epoch: 'epoch',
  sequences: 'offsets',
  /** State role: whose files it belongs to. */
  installation: 'installation',
  /** State role, and BullMQ's own: before the names of all its keys. */
  queue: 'queue',
  /** Cache role: who is loading the entry of that name right now. */
  loadLock: (entry: string) => `lock:${entry}`,
  /** Cache role, where an older state of it may come back: how many deletions there have been. */
  deletions: 'deletions:count',
  /** Channel layer: epoch and offset of a channel. Braces keep a channel on one node of a cluster. */
  busHead: (channel: string) => `{${channel}}:head`,
  /** Channel layer: the last messages of a channel, a stream. */
  busLog: (channel: string) => `{${channel}}:log`,
  /** Channel layer: ids of messages that may still arrive, and must not be taken again. */
  busMerged: (channel: string) => `{${channel}}:merged`,
  /** Channel layer: how many bytes all logs hold, by when they end. */
  busSizes: 'sizes',
  /** Channel layer: who is in a channel. */
  busHere: (channel: string) => `{${channel}}:here`,
} as const

/** First words in the state role that are of no kind: their owners merge them. */
const RESERVED = [keys.epoch, keys.sequences, keys.installation, keys.queue, 'probe']

/** The kind of a key of the state role; undefined where nobody has declared its first word. */
export type FindKind = (key: string) => KindName | undefined

/** Core's own words and these. Throws, in one sentence, when two declare the same word. */
export function createKeyKinds(declared: readonly DeclaredKeys[]): FindKind {
  const kinds = new Map<string, KindName>()
  for (const [word, kind] of [core, ...declared].flatMap((keys) => Object.entries(keys.kinds))) {
    if (!/^[a-z][a-z-]*$/.test(word)) throw new Error(`"${word}" cannot be the first word of a key`)
    if (kinds.has(word) || RESERVED.includes(word))
      throw new Error(`the first word "${word}" of a key is taken: it is declared twice`)
    kinds.set(word, kind)
  }
  return (key) => kinds.get(wordOf(key))
}

/** The first word of a key. */
export function wordOf(key: string): string {
  const end = key.indexOf(':')
  return end < 0 ? key : key.slice(0, end)
}

/** Before every key of the state role, in a Redis whose keys begin with `prefix`. */
export const statePrefix = (prefix: string) => `${prefix}state:`

/** Before the fields of clears that leave stale copies. Releases that do not know them pass them over. */
export const SOFT = 'soft:'

/** The field of `keys.generations` that holds the last clear of that scope. */
export function generationField(scope: ClearScope): string {
  if (scope === 'all') return 'all'
  return 'tag' in scope ? `tag:${scope.tag}` : `prefix:${scope.prefix}`
}
