// Every key name but those of cached values, which their features give, as operators look them up. The kind of a key
// decides how two versions of it become one after an outage.

/** What a clear clears. */
export type ClearScope = 'all' | { readonly prefix: string } | { readonly tag: string }

export const keys = {
  /** Cache role: who is loading the entry of that name right now. */
  loadLock: (entry: string) => `lock:${entry}`,
  /** Cache role, where an older state of it may come back: how many deletions there have been. */
  deletions: 'deletions:count',
  /** State role: the numbers of the cache's clears, one field each for all, a prefix and a tag. */
  generations: 'generations',
  /** State role: which of its lives Redis is in, and how far each process had come in it. */
  epoch: 'epoch',
  offsets: 'offsets',
  /** State role: a signed-in visitor, by a hash of the session's id. */
  session: (hash: string) => `session:${hash}`,
  /** State role: the sessions of this user, by their hashes. */
  sessionsOf: (user: string) => `sessions:${user}`,
  /** State role: sessions of this user from before that moment are no more. */
  revokedBefore: (user: string) => `revoked:${user}`,
  /** State role: a signed login that has been used, by its hash. */
  login: (hash: string) => `login:${hash}`,
  /** State role: a delivery that has been done, and its answer. */
  webhook: (source: string, id: string) => `webhook:${source}:${id}`,
  /** State role: a request that has been done, by whom and under which Idempotency-Key, and its answer. */
  idempotent: (who: string, id: string) => `idempotent:${who}:${id}`,
  /** State role: who is doing right now what the key in it says, once it is done. */
  running: (done: string) => `running:${done}`,
  /** State role: a job that has been done. */
  job: (name: string, id: string) => `done:${name}:${id}`,
  /** State role: the last run of this schedule, by its number. */
  scheduled: (name: string) => `scheduled:${name}`,
  /** State role, and BullMQ's own: before the names of all its keys. */
  queue: 'queue',
  /** State role: when the last requests under a policy were made, and by whom. */
  limit: (policy: string, who: string) => `limit:${policy}:${who}`,
  /** State role: how often a server of others may be asked, as it has taught us. */
  upstream: (name: string) => `upstream:${name}`,
  /** Channel layer, beside the state role's keys: epoch and offset of a channel. Braces keep a channel on one node of a cluster. */
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

/** The kind of a key of the state role, by its first word (state-value.ts). What is not here is merged by its owner. */
const kinds = {
  session: 'record',
  sessions: 'members',
  revoked: 'mark',
  login: 'claim',
  webhook: 'claim',
  idempotent: 'claim',
  running: 'record',
  done: 'claim',
  scheduled: 'mark',
  limit: 'log',
  upstream: 'record',
} as const

/** Before every key of the state role, in a Redis whose keys begin with `prefix`. */
export const statePrefix = (prefix: string) => `${prefix}state:`

/** The first word of a key of the state role. */
export type KeyWord = keyof typeof kinds

export function kindOf(key: string): (typeof kinds)[keyof typeof kinds] | undefined {
  return kinds[key.slice(0, key.indexOf(':')) as KeyWord]
}

/** The field of `keys.generations` that holds the last clear of that scope. */
export function generationField(scope: ClearScope): string {
  if (scope === 'all') return 'all'
  return 'tag' in scope ? `tag:${scope.tag}` : `prefix:${scope.prefix}`
}
