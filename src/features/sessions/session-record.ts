// One session as it is stored: its fields, when it was made and last seen, and so when it ends. Pure.
import { hash } from 'node:crypto'
import type { SessionData } from 'express-session'
import type { User } from '../../feature.ts'
import { corrupt, type Guard, isNumber, isShape, isText, parseJson } from '../../lib/codec.ts'
import { cleanText, isPlainText } from '../../lib/plain-text.ts'
import { DAY } from '../../lib/time.ts'

/** A session ends so long after it was last used, */
export const IDLE_MS = 14 * DAY
/** and so long after it was made, however much it is used. */
export const ABSOLUTE_MS = 90 * DAY

/** A session's fields as JSON gives them back. When the cookie ends is not among them: it follows from `seenAtMs`. */
export type Fields = Readonly<Record<string, unknown>> & {
  readonly cookie: { readonly originalMaxAge?: number | null | undefined }
  readonly user?: User | undefined
  readonly loggedInAtMs?: number | undefined
  readonly device?: string | undefined
  readonly address?: string | undefined
}

export interface SessionRecord {
  readonly createdAtMs: number
  readonly seenAtMs: number
  readonly fields: Fields
}

const isOptional =
  <T>(isValid: Guard<T>): Guard<T | undefined> =>
  (json): json is T | undefined =>
    json === undefined || isValid(json)

// Features check the fields that they put into a session; what decides who the user is, is checked here.
const isRecord: Guard<SessionRecord> = isShape({
  createdAtMs: isNumber,
  seenAtMs: isNumber,
  fields: isShape({
    cookie: isShape({
      originalMaxAge: (age): age is number | null | undefined => age == null || isNumber(age),
    }),
    user: isOptional(isShape({ id: isText, name: isText }) as Guard<User>),
    loggedInAtMs: isOptional(isNumber),
    device: isOptional(isText),
    address: isOptional(isText),
  }) as Guard<Fields>,
})

export const encodeRecord = (record: SessionRecord) => Buffer.from(JSON.stringify(record))

/** Undefined for what is no session. */
export function decodeRecord(bytes: Buffer): SessionRecord | undefined {
  const found = parseJson(bytes, isRecord)
  if (found === corrupt) return undefined
  const record = { createdAtMs: found.createdAtMs, seenAtMs: found.seenAtMs, fields: found.fields }
  return record.fields.user && !isPlainUser(record.fields.user) ? withCleanUser(record) : record
}

const isPlainUser = ({ name, username = '', language = '' }: User) =>
  [name, username, language].every(isPlainText)

/** Of a login before names were cleaned (telegram-user.ts): what it is called is not trusted because it is stored. */
function withCleanUser({ fields, ...record }: SessionRecord): SessionRecord {
  const { name, username = '', language = '', ...user } = fields.user as User
  const handle = cleanText(username)
  const clean = {
    ...user,
    name: cleanText(name) || handle || user.id.replace(/^telegram:/, ''),
    ...(handle && { username: handle }),
    ...(language && isPlainText(language) && { language }),
  }
  return { ...record, fields: { ...fields, user: clean } }
}

/** After `IDLE_MS` without use, or sooner by the cookie's own maxAge; after `ABSOLUTE_MS` at the latest. */
export function expiresAtMs({ createdAtMs, seenAtMs, fields }: SessionRecord): number {
  const idleMs = Math.min(IDLE_MS, fields.cookie.originalMaxAge ?? IDLE_MS)
  return Math.min(seenAtMs + idleMs, createdAtMs + ABSOLUTE_MS)
}

export function fieldsOf(session: SessionData): Fields {
  const { cookie, ...rest } = parseJson(JSON.stringify(session)) as Fields & {
    readonly cookie: { readonly expires?: unknown }
  }
  const { expires, ...lasting } = cookie
  return { ...rest, cookie: lasting }
}

/** The fields that differ; undefined for one that is gone. */
export type Changes = ReadonlyMap<string, unknown>

export function changesBetween(before: Fields, after: Fields): Changes {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  const changed = [...names].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  return new Map(changed.map((name) => [name, after[name]]))
}

export function withChanges(fields: Fields, changes: Changes): Fields {
  return { ...fields, ...Object.fromEntries(changes) }
}

/** The name a session is stored under: a backup tells no session's id. */
export const hashOf = (sessionId: string) => hash('sha256', sessionId, 'base64url')

/** The name a session has for its user: nothing in the store is found by it. */
export const publicIdOf = (sessionHash: string) =>
  hash('sha256', `public:${sessionHash}`, 'base64url').slice(0, 22)
