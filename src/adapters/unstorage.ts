// unstorage's driver over the cache role, for the cached handlers and functions of Nitro, Nuxt and h3: what is cached
// may be lost, a Redis that is away is a miss, and nothing removed comes back.
import type { Driver, TransactionOptions } from 'unstorage'
import type { Samovar } from '../package/samovar.ts'

export interface StorageDriverOptions {
  /** Before all keys, so that two storages do not share theirs; `unstorage` unless said. */
  base?: string
  /** How long an item is kept whose writer does not say, in seconds, as everywhere in unstorage; a year unless said. */
  ttl?: number
}

/** `createStorage({ driver: createStorageDriver(samovar) })`, or `useStorage().mount('cache', …)`. */
export function createStorageDriver(
  { values }: Pick<Samovar, 'values'>,
  options: StorageDriverOptions = {},
): Driver<StorageDriverOptions> {
  const base = `${options.base ?? 'unstorage'}:`
  // `setItems` gives no options where its caller has none; 0 is "as long as it may be", as for the driver `redis`.
  const keptMs = ({ ttl = options.ttl }: TransactionOptions = {}) => (ttl ? ttl * 1_000 : undefined)

  /** A copy: the value itself is the cache's. */
  async function bytesOf(key: string): Promise<Buffer | null> {
    const found = await values.get(base + key)
    return found ? Buffer.from(found) : null
  }

  return {
    name: 'samovar',
    options,
    hasItem: async (key) => (await values.get(base + key)) !== undefined,
    getItem: async (key) => (await values.get(base + key))?.toString() ?? null,
    getItemRaw: bytesOf,
    setItem: (key, text, said) => values.set(base + key, Buffer.from(text), keptMs(said)),
    setItemRaw: (key, bytes, said) => values.set(base + key, Buffer.from(bytes), keptMs(said)),
    removeItem: (key) => values.delete([base + key]),
    getKeys: async (under = '') => (await values.keys(base + under)).map((key) => key.slice(base.length)),
    clear: (under = '') => values.clear(base + under),
  }
}
