// One session as it is stored: its fields, when it was made and last seen, and so when it ends. Pure.
import { createHash } from 'node:crypto'
import type { SessionData } from 'express-session'
import { z } from 'zod'
import type { User } from '../../feature.ts'
import { parseJson } from '../../lib/codec.ts'
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

// Features check the fields that they put into a session; what decides who the user is, is checked here.
const recordSchema = z.object({
  createdAtMs: z.number(),
  seenAtMs: z.number(),
  fields: z.looseObject({
    cookie: z.looseObject({ originalMaxAge: z.number().nullish() }),
    user: z.looseObject({ id: z.string(), name: z.string() }).optional(),
    loggedInAtMs: z.number().optional(),
    device: z.string().optional(),
    address: z.string().optional(),
  }),
})

export const encodeRecord = (record: SessionRecord) => Buffer.from(JSON.stringify(record))

/** Undefined for what is no session. */
export function decodeRecord(bytes: Buffer): SessionRecord | undefined {
  const record = recordSchema.safeParse(parseJson(bytes)).data as SessionRecord | undefined
  return record?.fields.user && !isPlainUser(record.fields.user) ? withCleanUser(record) : record
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
export const hashOf = (sessionId: string) => createHash('sha256').update(sessionId).digest('base64url')

/** The name a session has for its user: nothing in the store is found by it. */
export const publicIdOf = (hash: string) =>
  createHash('sha256').update(`public:${hash}`).digest('base64url').slice(0, 22)
