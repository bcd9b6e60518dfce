// The contract of a feature: what it declares, what it is given, and what it hands back. docs/adding-a-feature.md
// Our own features have no privilege: this file is all that they, and anybody's, know of the app.
import type { Request, RequestHandler, Response, Router } from 'express'
import type { Bus } from './core/bus/bus.ts'
import type { Cache } from './core/cache/cache.ts'
import type { DeclaredKeys } from './core/keys.ts'
import type { Limiter, Policy } from './core/limiter.ts'
import type { Once } from './core/once.ts'
import type { JobHandler, Queue, Schedule, WorkOptions } from './core/queue/queue.ts'
import type { State } from './core/state/state.ts'
import type { CachedRoute } from './http/cached-response.ts'
import type { JsonFetcher } from './http/fetch-json.ts'
import type { Probe } from './http/probes/probe.ts'
import type { UserPages } from './http/site/site-header.ts'
import type { SocketOptions, SocketRoute } from './http/sockets/sockets.ts'
import type { Closable } from './lib/scope.ts'
import type { Now } from './lib/time.ts'
import type { Log } from './log.ts'
import type { Records } from './sql/sql.ts'
import type { Configured, Others, ValuesOf, Variables } from './variables.ts'

export interface User {
  /** Unique among all users, as in `telegram:12345`. */
  readonly id: string
  readonly name: string
  readonly username?: string
  readonly photoUrl?: string
  /** A language tag, as in `ru` or `en-GB`. */
  readonly language?: string
}

/** Who sent a request, as far as that was verified. */
export interface Identity {
  readonly user?: User
  /** The public id of the session. */
  readonly session?: string
  /** It names a session, and nobody who could know it has been read yet: a guest until then, not a stranger. */
  readonly isUnknown?: true
}

/** Tells who sends requests, for all features. One feature at most hands it back. */
export interface Users {
  identify(req: Request): Promise<Identity>
  /** Whether the login that the request came with has ended since. What cannot be read has not ended. */
  hasLoggedOut(req: Request): Promise<boolean>
  /** Where people log in and out: the header of every page leads there. */
  readonly pages?: UserPages
}

/** One window of a limit, and for whom hits of its `name` are counted together. Of several windows all must allow. */
export type Rule = Policy & (ForEach | ForAll)

interface ForEach {
  /** `client`: the user, else the session, else the address. `address`: also where the client is logged in. */
  readonly per: 'client' | 'address'
  /** For all together whose address is shared by many; without it the rule does not hold for them. */
  readonly sharedLimit?: number
}

interface ForAll {
  readonly per: 'everybody'
}

/** Asked by a read that is not cached, before it loads; rejects with what the caller is refused with. */
export type Admit = () => Promise<void>

/** Limits requests, for all features. One feature at most hands it back. */
export interface RequestLimits {
  /** Counts the request under the rules and sets the headers; throws `too_many_requests` when one is used up. */
  check(rules: readonly Rule[], req: Request, res: Response): Promise<void>
  /** The address, where it stands for this client alone. */
  addressOf(req: Request): Promise<string | undefined>
  /** The user, else the address, else the session; undefined where clients cannot be told apart. */
  clientOf(req: Request): Promise<string | undefined>
  /** For `admit` of what the request reads through the cache: the budget of reads that cause work upstream. */
  admitReads(req: Request): Admit
  /** Limits every change under /api but those below these paths, which have limits of their own. */
  limitChanges(except: readonly string[]): RequestHandler
}

export interface Admin {
  /** Whether the operator has set ADMIN_TOKEN: without it some things are open to everybody. */
  readonly isSet: boolean
  /** Whether it carries the token: ADMIN_TOKEN, or the one that was made where none is set. */
  is(req: Request): boolean
  /** Refuses everybody else. */
  readonly only: RequestHandler
  /** The same for a page: a browser asks for the token as a password. */
  readonly onlyOnPage: RequestHandler
  /** Refuses everybody else where an ADMIN_TOKEN is set, and none of them where it is not. */
  readonly onlyIfSet: RequestHandler
}

/** An entry of the navigation: where it leads, with or without a `#`, and what it is called: as its page is. */
export interface Link {
  readonly path: string
  readonly en: string
  readonly ru: string
  /** After the links of all other features. */
  readonly isLast?: true
}

/** What a feature is given. */
export interface Context<V extends Variables = Variables> extends Pick<JsonFetcher, 'fetchJson'> {
  /** The values of its own variables. */
  readonly config: ValuesOf<V>
  /** `memory`: Redis is switched off. */
  readonly mode: 'embedded' | 'external' | 'memory'
  readonly cache: Cache
  readonly state: State
  readonly bus: Bus
  readonly queue: Queue
  readonly limiter: Limiter
  readonly once: Once
  /** SQL, with the tables of `migrations`. */
  readonly records: Records
  readonly log: Log
  readonly now: Now
  /** For signatures: the first one signs, each is believed. */
  readonly secrets: readonly string[]
  readonly admin: Admin
  /**
   * Who is logged in: undefined for a guest, and for who cannot be known yet. The answer to the request is private,
   * unless the route says otherwise.
   */
  user(req: Request): Promise<User | undefined>
  /** The same, or throws `not_logged_in`; `state_unknown` where that is not known yet. */
  requireUser(req: Request): Promise<User>
  /** Throws `state_unknown` where it is not known yet who asks: before a refusal of who is not logged in. */
  expectKnown(req: Request): Promise<void>
  /** The same with the session, for what does not show in the answer: a limit, a line in the log. */
  identify(req: Request): Promise<Identity>
  /** Refuses with `too_many_requests` when the limit is used up. */
  limitBy(rules: readonly Rule[]): RequestHandler
  /** The same inside a route. */
  limit(rules: readonly Rule[], req: Request, res: Response): Promise<void>
  admitReads: RequestLimits['admitReads']
  addressOf: RequestLimits['addressOf']
  clientOf: RequestLimits['clientOf']
  /** A WebSocket, for `sockets`. Without `callerOf` it is for logged-in users; with it, `callerOf` asks for them. */
  socket<Caller = User>(options: FeatureSocket<Caller>): SocketRoute
  /** Where Redis is: the public word for both roles. */
  status(): { readonly status: 'redis' | 'memory' | 'merging'; readonly sinceMs: number }
  /** The links of all features that run, in their order. */
  navigation(): readonly Link[]
}

/** A socket without what the context knows itself. */
export type FeatureSocket<Caller> = Omit<
  SocketOptions<Caller>,
  'callerOf' | 'clientOf' | 'hasLoggedOut' | 'bus' | 'log'
> &
  Partial<Pick<SocketOptions<Caller>, 'callerOf'>>

export interface Job extends WorkOptions {
  readonly name: string
  readonly run: JobHandler
  readonly schedule?: Schedule
}

/** What a feature hands back. */
export interface Setup<Provides = unknown> extends Partial<Closable> {
  readonly routes?: Router
  /** GETs that are answered from the cache: `cachedRoute`. */
  readonly cached?: readonly CachedRoute[]
  /** What the platform asks whether the process lives. */
  readonly probes?: readonly Probe[]
  /** Before bodies are parsed and before requests of other sites are refused: signed deliveries, for example. */
  readonly rawRoutes?: Router
  readonly sockets?: readonly SocketRoute[]
  readonly jobs?: readonly Job[]
  /** Paths under /api that have limits of their own: the limit on all changes leaves them out. */
  readonly ownLimits?: readonly string[]
  readonly users?: Users
  readonly limits?: RequestLimits
  /** Links that depend on its variables, after those of `navigation`. */
  readonly links?: readonly Link[]
  /** Called when the app accepts connections. */
  start?(): void
  /** What app.ts may pass to other features. */
  readonly provides?: Provides
}

export interface Manifest extends Configured {
  /** Unique; a-z, 0-9 and -. Also the owner of its tables: it is never changed. */
  readonly name: string
  /** The words of its keys in the state role and their kinds: `defineKeys` of core/keys.ts. */
  readonly keys?: DeclaredKeys
  /** Its tables, as steps that are applied once each, in order. A step that was released is never changed. */
  readonly migrations?: readonly string[]
  /** Shown in the header of every page. */
  readonly navigation?: readonly Link[]
  /** One line for the docs. */
  readonly about?: { readonly en: string; readonly ru: string }
}

export interface Feature<V extends Variables = Variables, Parts = unknown, Provides = unknown>
  extends Manifest {
  readonly variables?: V
  check?(values: ValuesOf<V>, others: Others): readonly string[]
  /** Called once, before the app listens. `parts` are what app.ts passes. */
  setup(context: Context<V>, parts: Parts): Setup<Provides>
}

/** Names what a feature is made of; the types of `setup` follow from the rest. */
export function defineFeature<
  V extends Variables = Record<never, never>,
  Parts = unknown,
  Provides = undefined,
>(feature: Feature<V, Parts, Provides>): Feature<V, Parts, Provides> {
  return feature
}
