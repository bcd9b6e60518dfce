// What a feature is given, made of the core, the configuration, and the features that tell users and limit requests.
import type { Request, Router } from 'express'
import type { Config } from '../config.ts'
import { stateUnknown } from '../core/errors.ts'
import { notLoggedIn } from '../errors.ts'
import type { Admin, Context, FeatureSocket, Link, RequestLimits, Rule, Users } from '../feature.ts'
import { createAdminCookie } from '../http/admin/admin-cookie.ts'
import { createAdminLogin } from '../http/admin/admin-login.ts'
import { createAdminGuesses } from '../http/admin-guesses.ts'
import type { JsonFetcher } from '../http/fetch-json.ts'
import { markPrivate } from '../http/private.ts'
import { isAdmin, requireToken } from '../http/security.ts'
import type { Site } from '../http/site/site-header.ts'
import { createSockets } from '../http/sockets/sockets.ts'
import { MINUTE } from '../lib/time.ts'
import type { Log } from '../log.ts'
import type { Core } from './open-core.ts'

/** How often a WebSocket may be opened: a page that lost its network for a while opens a few a minute. */
export const socketRules: readonly Rule[] = [
  { name: 'sockets', per: 'client', limit: 300, windowMs: MINUTE, sharedLimit: 1_000 },
]

/** Handed back by features; until then, and without them, no user is logged in and nothing is limited. */
export interface Handed {
  users?: Users
  limits?: RequestLimits
  links: Link[]
}

export interface ContextParts {
  config: Config
  core: Core
  secrets: readonly string[]
  admin: Admin
  fetchJson: JsonFetcher['fetchJson']
  handed: Handed
  log: Log
}

/** What all features share of it. */
export type SharedContext = Omit<Context, 'config' | 'records'>

/** Everything but `config` and `records`, which each feature has its own of. */
export function createContext(parts: ContextParts): SharedContext {
  const { config, core, secrets, admin, fetchJson, handed, log } = parts
  const { cache, state, bus, queue, limiter, once, status } = core

  const identify: Context['identify'] = async (req) => (await handed.users?.identify(req)) ?? {}
  const user: Context['user'] = async (req) => {
    if (req.res) markPrivate(req.res)
    return (await identify(req)).user
  }
  const requireUser: Context['requireUser'] = async (req) => {
    const found = await user(req)
    if (found) return found
    await expectKnown(req)
    throw notLoggedIn()
  }
  const expectKnown: Context['expectKnown'] = async (req) => {
    if ((await identify(req)).isUnknown) throw stateUnknown()
  }
  const limit: Context['limit'] = async (rules, req, res) => handed.limits?.check(rules, req, res)
  const clientOf = async (req: Request) => handed.limits?.clientOf(req)

  return {
    mode: config.mode,
    cache,
    state,
    bus,
    queue,
    limiter,
    once,
    log,
    now: Date.now,
    secrets,
    fetchJson,
    admin,
    user,
    requireUser,
    expectKnown,
    identify,
    limit,
    limitBy: (rules) =>
      async function limitRequest(req, res, next) {
        await limit(rules, req, res)
        next()
      },
    admitReads: (req) => handed.limits?.admitReads(req) ?? (async () => {}),
    addressOf: async (req) => handed.limits?.addressOf(req),
    clientOf,
    socket: <Caller>(options: FeatureSocket<Caller>) =>
      createSockets<Caller>({
        callerOf: requireUser as (req: Request) => Promise<Caller>, // as its type says where none is given
        clientOf,
        hasLoggedOut: async (req) => (await handed.users?.hasLoggedOut(req)) ?? false,
        bus,
        log,
        ...options,
      }),
    status,
    navigation: () => handed.links,
  }
}

/** What the header of every page shows, of what the features have handed back. */
export function createSite(handed: Handed, log: Log): Site {
  return {
    links: () => handed.links,
    userPages: () => handed.users?.pages,
    async visitor(req) {
      try {
        const { user, isUnknown } = (await handed.users?.identify(req)) ?? {}
        if (user) return { kind: 'user', name: user.name }
        return { kind: isUnknown ? 'unknown' : 'guest' }
      } catch (error) {
        // A page that is whole but for a name is better than none.
        log.debug({ requestId: req.id, err: error }, 'a page is sent without the name of who is logged in')
        return { kind: 'unknown' }
      }
    },
  }
}

export interface AdminParts {
  /** ADMIN_TOKEN, or the one that was made where it is not set. */
  token: string
  /** By the operator. A token that was made opens what needs one, and closes nothing that was open. */
  isSet: boolean
  secrets: readonly string[]
  log: Log
}

/** Who is the admin, and the form where a person says so. */
export function createAdmin({ token, isSet, secrets, log }: AdminParts): { admin: Admin; routes: Router } {
  const guesses = createAdminGuesses({ log })
  const cookie = createAdminCookie(token, secrets)
  const { onlyOnPage, routes } = createAdminLogin({ token, cookie, guesses })
  const only = requireToken(token, guesses.note)
  const admin: Admin = {
    isSet,
    is: (req) => isAdmin(req, token, guesses.note),
    only,
    onlyOnPage,
    onlyIfSet: isSet ? only : (_req, _res, next) => next(),
  }
  return { admin, routes }
}
