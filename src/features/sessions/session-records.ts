// Sessions over the state role: found by the hash of their id and by their user, expired and revoked. Knows no HTTP.

import type { State } from '../../core/state/state.ts'
import type { Now } from '../../lib/time.ts'
import { createDecodedRecords } from './decoded-records.ts'
import { sessionKeys } from './session-keys.ts'
import { ABSOLUTE_MS, encodeRecord, expiresAtMs, IDLE_MS, type SessionRecord } from './session-record.ts'

/** So many concurrent writers may change one session before it counts as a bug. */
const MOST_TRIES = 200

type Timestamp = NonNullable<Parameters<State['update']>[3]>

export interface FoundSession {
  readonly record: SessionRecord
  /** Which version it is. */
  readonly timestamp: Timestamp
}

export interface KnownSession {
  readonly hash: string
  readonly record: SessionRecord
}

export interface SessionRecords {
  /** Undefined when there is none, or it has expired or was revoked. */
  find(hash: string): Promise<FoundSession | undefined>
  /** False when one is or was there. */
  create(hash: string, record: SessionRecord): Promise<boolean>
  /**
   * Writes what `change` makes of the newest record, and returns it; `known` saves reading it first. What has ended is
   * never written: then undefined.
   */
  rewrite(
    hash: string,
    known: FoundSession | undefined,
    change: (record: SessionRecord) => SessionRecord,
  ): Promise<SessionRecord | undefined>
  /** Ends it permanently. */
  end(hash: string): Promise<void>
  /** The user's sessions, at most 200: those that were used last. */
  ofUser(userId: string): Promise<KnownSession[]>
  /** Every session this process knows of: all, while its copy of the state role is full. */
  all(): Promise<KnownSession[]>
  /**
   * Ends all of the user's sessions logged in up to that moment, also those that this process does not know; not the
   * one to keep. Of concurrent calls the last one decides which that is, for all of them.
   */
  revoke(userId: string, upToMs: number, keptHash?: string): Promise<void>
  /** When a login of the user that happens now happens: after everything that was revoked. */
  loginAtMs(userId: string): Promise<number>
}

export function createSessionRecords({ state, now = Date.now }: { state: State; now?: Now }): SessionRecords {
  const decoded = createDecodedRecords()

  async function read(hash: string): Promise<FoundSession | undefined> {
    const version = await state.read(sessionKeys.session(hash))
    const record = version && decoded.of(hash, version.bytes)
    return record && expiresAtMs(record) > now() ? { record, timestamp: version.timestamp } : undefined
  }

  async function find(hash: string): Promise<FoundSession | undefined> {
    const found = await read(hash)
    return found && !(await isRevoked(hash, found)) ? found : undefined
  }

  async function isRevoked(hash: string, { record: { fields } }: FoundSession): Promise<boolean> {
    if (!fields.user) return false
    const { loggedInAtMs = 0 } = fields
    // A revocation from before the login does not end it.
    const asked = { madeAtMs: loggedInAtMs }
    const revokedUpToMs = await state.marked(sessionKeys.revoked(fields.user.id), asked)
    if (revokedUpToMs === undefined || loggedInAtMs > revokedUpToMs) return false
    // Read after the moment, as it is written before it: the keeper is never seen as one of the others.
    return (await state.read(sessionKeys.kept(fields.user.id), asked))?.bytes.toString() !== hash
  }

  async function index(hash: string, record: SessionRecord): Promise<void> {
    const { user } = record.fields
    if (user) await state.include(sessionKeys.sessions(user.id), hash, expiresAtMs(record) - now())
  }

  async function known(hashes: readonly string[]): Promise<KnownSession[]> {
    const found = await Promise.all(hashes.map(find))
    return hashes.flatMap((hash, i) => (found[i] ? [{ hash, record: found[i].record }] : []))
  }

  const ttlOf = (record: SessionRecord) => expiresAtMs(record) - now()

  return {
    find,
    async create(hash, record) {
      // A login that fails half-way leaves a name without a session, not a session without a name.
      await index(hash, record)
      const asked = { madeAtMs: record.createdAtMs } // under an id that nobody could know before
      return state.update(sessionKeys.session(hash), encodeRecord(record), ttlOf(record), undefined, asked)
    },
    async rewrite(hash, known, change) {
      let found = known ?? (await find(hash))
      for (let tries = 0; found && tries < MOST_TRIES; tries += 1) {
        const next = change(found.record)
        if (next === found.record) return next
        if (await state.update(sessionKeys.session(hash), encodeRecord(next), ttlOf(next), found.timestamp)) {
          await index(hash, next)
          return next
        }
        found = await find(hash)
      }
      if (found) throw new Error('a session changes faster than it can be written')
      return undefined
    },
    // A copy that another process holds ends with its idle time at the latest: the tombstone outlasts it.
    end: (hash) => state.destroy(sessionKeys.session(hash), IDLE_MS),
    async ofUser(userId) {
      const sessions = await known(await state.members(sessionKeys.sessions(userId)))
      return sessions.filter(({ record }) => record.fields.user?.id === userId)
    },
    async all() {
      const names = await state.list('session')
      return known(names.map((name) => name.slice(sessionKeys.session('').length)))
    },
    async revoke(userId, upToMs, keptHash = '') {
      await state.write(sessionKeys.kept(userId), Buffer.from(keptHash), ABSOLUTE_MS)
      await state.mark(sessionKeys.revoked(userId), upToMs, ABSOLUTE_MS)
    },
    async loginAtMs(userId) {
      const revokedUpToMs = await state.marked(sessionKeys.revoked(userId), { madeAtMs: now() })
      return Math.max(now(), (revokedUpToMs ?? 0) + 1)
    },
  }
}
