// A feature of the user's as the app installs it: it is passed the context and where handlers of webhooks are
// registered, and what goes wrong in it says so by its name.
import type { NextFunction, Request, Response, Router } from 'express'
import { InvalidEnvironment } from '../config.ts'
import type { Context, Feature, Setup } from '../feature.ts'
import type { Installed, Provider, Wiring } from '../host/wiring.ts'
import type { CachedRoute } from '../http/cached-response.ts'
import { blame } from '../lib/blame.ts'
import type { Transaction } from '../sql/sql.ts'
import { placeIn, placeOf, sentenceOf } from './place.ts'

export type UserFeature = Feature & Pick<Installed, 'needs' | 'schemes'>

/** What `setup` is passed beside the context. */
export interface UserParts {
  /** Registers the handler of a source of webhooks; there where the feature needs `webhooks`. docs/webhooks.md */
  onDelivery(source: string, handler: DeliveryHandler): void
}

/** What it returns is answered. What it writes through `tx` takes effect exactly once. */
export type DeliveryHandler = (
  delivery: UserDelivery,
  handling: { readonly tx: Transaction; readonly signal: AbortSignal },
) => Promise<unknown>

export interface UserDelivery {
  readonly source: string
  /** The same each time the sender sends it. */
  readonly id: string
  readonly contentType: string | undefined
  /** Those that its scheme lets through, in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** What the sender's API says of it, where its scheme asks there. */
  readonly confirmed?: unknown
  readonly receivedAtMs: number
}

/** By its name: which features of ours there are, this folder does not know. */
const webhooks: Provider<{ on: UserParts['onDelivery'] }> = { name: 'webhooks', setup: () => ({}) }

export interface Source {
  readonly file: string
  readonly dir: string
}

export function guarded(feature: UserFeature, { file, dir }: Source): Installed {
  const { name } = feature
  const refuse = (what: string, error: unknown): never => {
    if (error instanceof InvalidEnvironment) throw error
    const place = placeIn(error, dir) ?? file
    throw new InvalidEnvironment([`the feature ${name} ${what}: ${sentenceOf(error)} (${place})`])
  }
  const refuseSetup = (problem: string): never => {
    throw new InvalidEnvironment([`setup of the feature ${name} ${problem} (${placeOf(/\bsetup\b/, file)})`])
  }

  function check(...given: Parameters<NonNullable<Installed['check']>>): readonly string[] {
    try {
      return feature.check?.(...given) ?? []
    } catch (error) {
      return refuse('cannot check its variables', error)
    }
  }

  function setup(context: Context, wiring: Wiring): Setup {
    let made: Setup
    try {
      const onDelivery = wiring.of(webhooks)?.on
      made = feature.setup(context, { ...(onDelivery && { onDelivery }) })
    } catch (error) {
      return refuse('cannot be set up', error)
    }
    if (typeof made !== 'object' || made === null)
      return refuseSetup('returns nothing: return { routes }, or {} where it has none')
    if ('then' in made)
      return refuseSetup('returns a promise, and is not waited for: connect in start, or in a handler')
    for (const router of [made.routes, made.rawRoutes]) {
      if (router !== undefined && typeof router?.use !== 'function')
        return refuseSetup('returns routes that are no router of Express: Router()')
      router?.use(named(name))
    }
    for (const list of ['cached', 'sockets', 'jobs', 'ownLimits', 'links'] as const)
      if (made[list] !== undefined && !Array.isArray(made[list]))
        return refuseSetup(`returns ${list} that are no list`)
    const { start } = made
    return {
      ...made,
      ...(made.cached && { cached: made.cached.map((route) => blamedRoute(route, name)) }),
      ...(start && {
        start() {
          try {
            start.call(made)
          } catch (error) {
            refuse('cannot be started', error)
          }
        },
      }),
      ...(made.close && { close: () => made.close?.() }),
    }
  }

  return { ...feature, check, setup }
}

/** Express tells an error's handler by its four parameters. */
const named = (feature: string): Parameters<Router['use']>[0] =>
  ((thrown: unknown, _req: Request, _res: Response, next: NextFunction) => {
    next(blame(thrown, feature))
  }) as never

function blamedRoute(route: CachedRoute, feature: string): CachedRoute {
  const call = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw blame(error, feature)
    }
  }
  return {
    path: route.path,
    parse: (asked) => call(() => route.parse(asked)),
    peek: (input) => call(() => route.peek(input)),
    async read(input, req) {
      try {
        return await route.read(input, req)
      } catch (error) {
        throw blame(error, feature)
      }
    },
  }
}
