// express-session's store over our sessions. Two requests may change one session concurrently: each writes the fields
// it has changed over the newest version. So this remembers, for each session object, what it was made from.

import type { Request } from 'express'
import session, { type SessionData } from 'express-session'
import { isStateUnknown, Refusal } from '../../core/errors.ts'
import { copyOfJson } from '../../lib/codec.ts'
import { MINUTE, type Now } from '../../lib/time.ts'
import {
  changesBetween,
  expiresAtMs,
  fieldsOf,
  hashOf,
  type SessionRecord,
  withChanges,
} from './session-record.ts'
import type { FoundSession, SessionRecords } from './session-records.ts'

/** A session in use is written this often for being in use. */
const SEEN_EVERY_MS = MINUTE

/** What a session object was made from; `timestamp` is missing once it was written itself. */
type Origin = Omit<FoundSession, 'timestamp'> & Partial<Pick<FoundSession, 'timestamp'>>

type Answer<T> = (error?: unknown, value?: T) => void

export interface SessionStore extends session.Store {
  /** Whether the session is stored, rather than made for a visitor who has none. */
  isStored(session: object): boolean
  /**
   * Loads the session of the request by `load`, which asks for it in the same turn. Where it is not known yet whether
   * there is one, the request gets one of its own that is not stored, and its cookie stays as it is.
   */
  during(req: Request | undefined, load: () => void): void
  /** Whether that was so. */
  isUnknown(req: Request): boolean
}

export interface SessionStoreOptions {
  records: SessionRecords
  now?: Now
}

export function createSessionStore(options: SessionStoreOptions): SessionStore {
  return new StateSessionStore(options)
}

class StateSessionStore extends session.Store implements SessionStore {
  readonly #records: SessionRecords
  readonly #now: Now
  readonly #origin = Symbol('origin') // a property of session objects, which their JSON leaves out
  readonly #unknown = new WeakSet<Request>()
  #loading: Request | undefined

  constructor({ records, now = Date.now }: SessionStoreOptions) {
    super()
    this.#records = records
    this.#now = now
  }

  isStored(data: object): boolean {
    return this.#originOf(data) !== undefined
  }

  during(req: Request | undefined, load: () => void): void {
    const before = this.#loading
    this.#loading = req
    try {
      load()
    } finally {
      this.#loading = before
    }
  }

  isUnknown(req: Request): boolean {
    return this.#unknown.has(req)
  }

  get(id: string, callback: (error: unknown, data?: SessionData | null) => void): void {
    const req = this.#loading
    const found = this.#load(id)
    answer(req ? found.catch((error) => this.#guestIfUnknown(error, req)) : found, callback)
  }

  set(id: string, data: SessionData, callback?: Answer<void>): void {
    answer(this.#save(hashOf(id), data), callback)
  }

  override touch(id: string, data: SessionData, callback?: Answer<void>): void {
    const origin = this.#originOf(data)
    // In the same turn: after it express-session would send the answer in two pieces.
    if (origin && this.#isFresh(origin.record)) callback?.(null)
    else answer(this.#touch(hashOf(id), origin), callback)
  }

  destroy(id: string, callback?: Answer<void>): void {
    answer(this.#records.end(hashOf(id)), callback)
  }

  override all(callback: (error: unknown, sessions?: SessionData[]) => void): void {
    answer(
      this.#records.all().then((sessions) => sessions.map(({ record }) => dataOf(record))),
      callback,
    )
  }

  override length(callback: (error: unknown, length?: number) => void): void {
    answer(
      this.#records.all().then((sessions) => sessions.length),
      callback,
    )
  }

  override clear(callback?: Answer<void>): void {
    answer(
      this.#records.all().then((all) => Promise.all(all.map(({ hash }) => this.#records.end(hash)))),
      callback && ((error) => callback(error)),
    )
  }

  override createSession(req: Request, data: SessionData) {
    const origin = this.#originOf(data)
    const made = super.createSession(req, data)
    if (origin) this.#setOrigin(made, origin)
    return made
  }

  /** What was never stored need not be destroyed. */
  override regenerate(req: Request, callback: Answer<void>): void {
    if (this.isStored(req.session)) {
      super.regenerate(req, callback)
    } else {
      req.sessionStore.generate(req)
      callback()
    }
  }

  #guestIfUnknown(error: unknown, req: Request): null {
    if (!isStateUnknown(error)) throw error
    this.#unknown.add(req)
    return null
  }

  async #load(id: string): Promise<SessionData | null> {
    const found = await this.#records.find(hashOf(id))
    if (!found) return null
    const data = dataOf(found.record)
    this.#setOrigin(data, found)
    return data
  }

  #originOf(data: object): Origin | undefined {
    return (data as { [name: symbol]: Origin | undefined })[this.#origin]
  }

  #setOrigin(data: object, value: Origin): void {
    Object.defineProperty(data, this.#origin, { value, writable: true, configurable: true })
  }

  async #save(hash: string, data: SessionData): Promise<void> {
    const [fields, origin, seenAtMs] = [fieldsOf(data), this.#originOf(data), this.#now()]
    const written = origin
      ? await this.#saveChanges(hash, fields, origin)
      : await this.#saveWhole(hash, { fields, seenAtMs, createdAtMs: seenAtMs })
    // Its own fields, not those that others have written since: it never saw them, so it did not remove them.
    if (written) this.#setOrigin(data, { record: { ...written, fields } })
  }

  async #saveWhole(hash: string, record: SessionRecord): Promise<SessionRecord | undefined> {
    if (expiresAtMs(record) <= this.#now()) {
      await this.#records.end(hash)
      return undefined
    }
    if (await this.#records.create(hash, record)) return record
    const { fields, seenAtMs } = record
    return this.#records.rewrite(hash, undefined, (there) => ({ ...there, fields, seenAtMs }))
  }

  #saveChanges(hash: string, fields: SessionRecord['fields'], origin: Origin) {
    const changes = changesBetween(origin.record.fields, fields)
    if (changes.size === 0) return this.#see(hash, origin)
    return this.#records.rewrite(hash, asFound(origin), (there) => ({
      ...there,
      seenAtMs: this.#now(),
      fields: withChanges(there.fields, changes),
    }))
  }

  async #touch(hash: string, origin: Origin | undefined): Promise<void> {
    try {
      await this.#see(hash, origin)
    } catch (error) {
      // It was not prolonged this time. The request has its answer, and the session lasts days yet.
      if (!(error instanceof Refusal)) throw error
    }
  }

  async #see(hash: string, origin: Origin | undefined): Promise<SessionRecord | undefined> {
    if (origin && this.#isFresh(origin.record)) return origin.record
    return this.#records.rewrite(hash, asFound(origin), (there) =>
      this.#isFresh(there) ? there : { ...there, seenAtMs: this.#now() },
    )
  }

  #isFresh({ seenAtMs }: SessionRecord): boolean {
    return this.#now() - seenAtMs < SEEN_EVERY_MS
  }
}

/** The version it was made from, where that is all there is to know of it. */
function asFound(origin: Origin | undefined): FoundSession | undefined {
  return origin?.timestamp === undefined ? undefined : { record: origin.record, timestamp: origin.timestamp }
}

/** As express-session wants it; the caller may change it, and the record is another request's as well. */
function dataOf(record: SessionRecord): SessionData {
  const { cookie, ...rest } = copyOfJson(record.fields)
  const expires = cookie.originalMaxAge == null ? null : new Date(expiresAtMs(record))
  return { ...rest, cookie: { ...cookie, expires } } as SessionData
}

function answer<T>(work: Promise<T>, callback?: (error: unknown, value?: T) => void): void {
  work.then(
    (value) => callback?.(null, value),
    (error) => callback?.(error),
  )
}
