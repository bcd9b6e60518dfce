// Eight bugs that a store like this one can have, each planted in a part that is given to the wiring: the model must
// find every one of them.

import { randomUUID } from 'node:crypto'
import { RedisUnavailable } from '../../src/core/errors.ts'
import { createJournal, type Journal } from '../../src/core/state/disk/journal.ts'
import type { VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import {
  createRedisStateStore,
  type Incarnation,
  type RedisStateStore,
  type RedisStateStoreOptions,
} from '../../src/core/state/redis-state-store.ts'
import type { Parts } from './app.ts'

type Entry = readonly [string, VersionedEntry]

const inJournal = (break_: (journal: Journal) => Partial<Journal>): Parts => ({
  state: {
    createRedisStateStore,
    createJournal(log) {
      const journal = createJournal(log)
      return { ...journal, ...break_(journal) }
    },
  },
})

const inRedisStore = (break_: (store: RedisStateStore) => Partial<RedisStateStore>): Parts => ({
  state: {
    createJournal,
    createRedisStateStore(options: RedisStateStoreOptions) {
      const store = createRedisStateStore(options)
      return { ...store, ...break_(store) }
    },
  },
})

const isTombstone = ({ value }: VersionedEntry) => value.kind === 'lww-register' && value.bytes === undefined

/** The same hits under other names, as if each write of the log were hits of its own. */
function renamed([key, version]: Entry): Entry {
  const { value } = version
  if (value.kind !== 'sliding-window-log') return [key, version]
  return [
    key,
    { ...version, value: { ...value, hits: value.hits.map((hit) => ({ ...hit, id: randomUUID() })) } },
  ]
}

/** What Redis was asked and may not have done never gets into the journal. */
function losingUnknownWrites(): Parts {
  const unknown = new Set<string>()
  const noted = async <T>(key: string, answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      if (error instanceof RedisUnavailable) unknown.add(key)
      throw error
    }
  }
  const journals = inJournal((journal) => ({
    put: (key, version) => unknown.delete(key) || journal.put(key, version),
  }))
  const stores = inRedisStore((store) => ({
    put: (key, version) => noted(key, store.put(key, version)),
  }))
  return {
    state: {
      createJournal: journals.state?.createJournal ?? createJournal,
      createRedisStateStore: stores.state?.createRedisStateStore ?? createRedisStateStore,
    },
  }
}

/** Whatever became of Redis, it is in the epoch that it was in. */
function inOneEpoch(): Partial<RedisStateStore> {
  let incarnation: Incarnation = { epoch: undefined, sequence: 0 }
  const proceed = (epoch: string | undefined) => (incarnation = { epoch, sequence: incarnation.sequence + 1 })
  return {
    incarnation: async () => incarnation,
    beginEpoch: async ({ to }) => proceed(to),
    bumpSequence: async () => proceed(incarnation.epoch),
  }
}

export interface Bug {
  /** The questions in whose answers it shows. */
  readonly foundIn: RegExp
  readonly parts: Parts
}

export const bugs: Record<string, Bug> = {
  'a dropped tombstone': {
    foundIn: /session:/,
    parts: inJournal((journal) => ({
      put: (key, version) => isTombstone(version) || journal.put(key, version),
      putAll: (entries) => journal.putAll(entries.filter(([, version]) => !isTombstone(version))),
    })),
  },

  'a hit counted twice': {
    foundIn: /^hit/,
    parts: inRedisStore((store) => ({
      merge: (entries) => store.merge(entries.map(renamed)),
    })),
  },

  'a lost unknown write': { foundIn: /session:/, parts: losingUnknownWrites() },

  'a claim given twice': {
    foundIn: /^claim/,
    parts: inRedisStore((store) => ({
      merge: (entries) =>
        store.merge(entries.filter(([, { value }]) => value.kind !== 'first-write-wins-register')),
    })),
  },

  // What was written first comes last, so that it is what remains.
  'a merge in the wrong order': {
    foundIn: /./,
    parts: inJournal((journal) => ({
      put: (key, version) => journal.has(key) || journal.put(key, version),
    })),
  },

  'a stale value after a clear': {
    foundIn: /^get/,
    parts: {
      clears: (clears, isRedis) => ({
        ...clears,
        raise: async (scope, how) => (isRedis() ? clears.raise(scope, how) : clears.top()),
      }),
    },
  },

  'an ignored version': {
    foundIn: /^update/,
    parts: inRedisStore((store) => ({
      replace: (key, version) => store.put(key, version),
    })),
  },

  'a skipped re-seed': { foundIn: /./, parts: inRedisStore(() => inOneEpoch()) },
}
