// express-session's store over the state role: sessions that are neither lost nor evicted while Redis is away. Stored
// by the hash of their ids, so that nobody logs in with what a backup shows.
import { createHash } from 'node:crypto'
import session, { type SessionData } from 'express-session'
import { corrupt, isNumber, isShape, parseJson } from '../lib/codec.ts'
import { DAY, MINUTE } from '../lib/time.ts'
import { adapterKeys } from '../package/adapter-keys.ts'
import type { Samovar } from '../package/samovar.ts'
import { orWhenAway } from './away.ts'

const WORD = 'express-session'
/** A session in use is prolonged so often, or ten times in its life. */
const PROLONGED_EVERY_MS = MINUTE
/** More reads in one turn could not be answered within the budget, which would count as an outage. */
const AT_ONCE = 100

export interface SessionStoreOptions {
  /** How long a session is kept whose cookie says nothing of it; a day unless said. */
  ttlMs?: number
}

/**
 * `session({ store: createSessionStore(samovar), … })`. While it is not known whether there is a session (Redis is away
 * since before this process began) the visitor is a guest: with `saveUninitialized: false` his cookie stays as it is,
 * and so does his session. A session that was destroyed does not come back.
 */
export function createSessionStore(
  samovar: Pick<Samovar, 'state'>,
  { ttlMs = DAY }: SessionStoreOptions = {},
): session.Store {
  return new StateSessionStore(samovar.state, ttlMs)
}

type Callback<T = void> = (error?: unknown, value?: T) => void

interface Stored {
  readonly endsAtMs: number
  readonly data: SessionData
}

const isStored = isShape<Stored>({
  endsAtMs: isNumber,
  data: isShape<SessionData>({ cookie: (json): json is SessionData['cookie'] => typeof json === 'object' }),
})

class StateSessionStore extends session.Store {
  readonly #state: Samovar['state']
  readonly #ttlMs: number

  constructor(state: Samovar['state'], ttlMs: number) {
    super()
    this.#state = state
    this.#ttlMs = ttlMs
  }

  get(id: string, callback: (error: unknown, data?: SessionData | null) => void): void {
    answer(orWhenAway(this.#find(keyOf(id)), undefined), (error, found) =>
      callback(error, found?.data ?? null),
    )
  }

  set(id: string, data: SessionData, callback?: Callback): void {
    answer(this.#save(keyOf(id), data), callback)
  }

  override touch(id: string, data: SessionData, callback?: Callback): void {
    answer(orWhenAway(this.#prolong(keyOf(id), data), undefined), callback)
  }

  destroy(id: string, callback?: Callback): void {
    answer(this.#end(keyOf(id)), callback)
  }

  override all(callback: (error: unknown, sessions?: SessionData[]) => void): void {
    answer(
      this.#all().then((all) => all.map(({ data }) => data)),
      callback,
    )
  }

  override length(callback: (error: unknown, length?: number) => void): void {
    answer(
      this.#all().then((all) => all.length),
      callback,
    )
  }

  override clear(callback?: Callback): void {
    answer(
      this.#state.list(WORD).then(async (keys) => void (await inBatches(keys, (key) => this.#end(key)))),
      callback,
    )
  }

  async #find(key: string) {
    const found = await this.#state.read(key)
    const stored = found && parseJson(found.bytes, isStored)
    if (!stored || stored === corrupt || stored.endsAtMs <= Date.now()) return undefined
    return { ...stored, timestamp: found.timestamp }
  }

  async #all() {
    const keys = await this.#state.list(WORD)
    const found = await inBatches(keys, (key) => orWhenAway(this.#find(key), undefined))
    return found.flatMap((one) => one ?? [])
  }

  async #save(key: string, data: SessionData): Promise<void> {
    const leftMs = this.#leftMs(data)
    if (leftMs <= 0) return this.#end(key)
    await this.#state.write(key, encode(data, leftMs), leftMs)
  }

  /** Or shortens it. Over the version that was found only: what another request has written since is newer. */
  async #prolong(key: string, data: SessionData): Promise<void> {
    const leftMs = this.#leftMs(data)
    if (leftMs <= 0) return this.#end(key)
    const found = await this.#find(key)
    if (!found) return
    const gainedMs = Date.now() + leftMs - found.endsAtMs
    if (Math.abs(gainedMs) < Math.min(PROLONGED_EVERY_MS, leftMs / 10)) return
    const { cookie } = data
    await this.#state.update(key, encode({ ...found.data, cookie }, leftMs), leftMs, found.timestamp)
  }

  /** Its tombstone outlasts every copy of it. */
  async #end(key: string): Promise<void> {
    const found = await orWhenAway(this.#find(key), undefined)
    const leftMs = found ? found.endsAtMs - Date.now() : this.#ttlMs
    await this.#state.destroy(key, Math.max(leftMs, this.#ttlMs) + DAY)
  }

  #leftMs({ cookie }: SessionData): number {
    return cookie.expires ? new Date(cookie.expires).getTime() - Date.now() : this.#ttlMs
  }
}

const keyOf = (id: string) => adapterKeys[WORD](createHash('sha256').update(id).digest('base64url'))

const encode = (data: SessionData, leftMs: number) =>
  Buffer.from(JSON.stringify({ endsAtMs: Date.now() + leftMs, data }))

async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = []
  for (let i = 0; i < items.length; i += AT_ONCE)
    done.push(...(await Promise.all(items.slice(i, i + AT_ONCE).map(work))))
  return done
}

function answer<T>(work: Promise<T>, callback?: (error: unknown, value?: T) => void): void {
  work.then(
    (value) => callback?.(null, value),
    (error) => callback?.(error),
  )
}
