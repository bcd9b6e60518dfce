// Keyv's store over the cache role, and so that of cacheable, cache-manager and got: values that may be lost, a miss
// instead of an error while Redis is away, and nothing deleted that comes back.
import { EventEmitter } from 'node:events'
import type { KeyvStoreAdapter, StoredData } from 'keyv'
import { corrupt, parseJson } from '../lib/codec.ts'
import type { Samovar } from '../package/samovar.ts'

const PREFIX = 'keyv:'
/** Before what is stored: text as Keyv serializes it, or JSON of what it was given unserialized. */
const [TEXT, JSON_TEXT] = ['t', 'j']

/**
 * `new Keyv({ store: createKeyvStore(samovar), namespace: 'pages' })`: a store for each Keyv, since Keyv tells the
 * store its namespace. Without one `clear` clears all of them.
 */
export function createKeyvStore({ values }: Pick<Samovar, 'values'>): KeyvStoreAdapter {
  return new ValuesStore(values)
}

class ValuesStore extends EventEmitter implements KeyvStoreAdapter {
  /** Keyv iterates over the stores that it knows by their dialects. */
  readonly opts = { dialect: 'redis', url: '' }
  namespace?: string | undefined
  readonly #values: Samovar['values']

  constructor(values: Samovar['values']) {
    super()
    this.#values = values
  }

  async get<Value>(key: string): Promise<StoredData<Value>> {
    return decode((await this.#values.get(PREFIX + key))?.toString()) as StoredData<Value>
  }

  getMany<Value>(keys: string[]): Promise<StoredData<Value | undefined>[]> {
    return Promise.all(keys.map((key) => this.get<Value>(key)))
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    if (value === undefined) return false
    const text = typeof value === 'string' ? TEXT + value : JSON_TEXT + JSON.stringify(value)
    await this.#values.set(PREFIX + key, Buffer.from(text), ttl)
    return true
  }

  async setMany(entries: { key: string; value: unknown; ttl?: number }[]): Promise<void> {
    await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)))
  }

  delete(key: string): Promise<boolean> {
    return this.deleteMany([key])
  }

  async deleteMany(keys: string[]): Promise<boolean> {
    const found = await this.hasMany(keys)
    await this.#values.delete(keys.map((key) => PREFIX + key))
    return found.includes(true)
  }

  async has(key: string): Promise<boolean> {
    return (await this.#values.get(PREFIX + key)) !== undefined
  }

  hasMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.has(key)))
  }

  clear(): Promise<void> {
    return this.#values.clear(prefixOf(this.namespace))
  }

  async *iterator<Value>(namespace?: string): AsyncGenerator<(string | Awaited<Value> | undefined)[], void> {
    for (const name of await this.#values.keys(prefixOf(namespace))) {
      const key = name.slice(PREFIX.length)
      const value = await this.get<Value>(key)
      if (value !== undefined) yield [key, value as Awaited<Value>]
    }
  }

  /** The Samovar is the app's: it is closed there. */
  async disconnect(): Promise<void> {}
}

const prefixOf = (namespace: string | undefined) => PREFIX + (namespace ? `${namespace}:` : '')

function decode(stored: string | undefined): unknown {
  if (stored?.startsWith(TEXT)) return stored.slice(1)
  const value = stored && parseJson(stored.slice(1))
  return value === corrupt ? undefined : value
}
