// The words of app.ts: which features there are, and what each is passed of the others and of the core.
import type { RequestHandler } from 'express'
import type { Context, Feature, Manifest, Setup } from '../feature.ts'
import type { WebhookScheme } from '../lib/webhooks/webhook-scheme.ts'
import type { Variables } from '../variables.ts'
import type { Core } from './open-core.ts'

export type Phase = 'starting' | 'serving' | 'stopping'

/** What of the core is no feature's by itself. */
export interface CoreParts
  extends Pick<
    Core,
    'outages' | 'fileAlerts' | 'figures' | 'countKeys' | 'openReference' | 'changes' | 'deadLetters'
  > {
  phase(): Phase
  /** The jobs in Redis as a page, below this path. */
  jobBoard(path: string): RequestHandler
}

export interface Wiring {
  readonly core: CoreParts
  /** Those of all features that run. */
  readonly schemes: readonly WebhookScheme[]
  /** The value of a variable of any feature that runs. */
  variable(name: string): unknown
  /** What that feature provides; undefined while it is left out. It comes before this one in the list. */
  of<Provides>(feature: Provider<Provides>): Provides | undefined
  /** The same for one that is among the `needs`. */
  needed<Provides>(feature: Provider<Provides>): Provides
}

export interface Provider<Provides> {
  readonly name: string
  setup(context: never, parts: never): Setup<Provides>
}

/** A feature in the list of app.ts. */
export interface Installed extends Manifest {
  setup(context: never, wiring: Wiring): Setup
}

/** A feature, with the function that finds its parts. One that needs none is listed as it is. */
export function install<V extends Variables, Parts>(
  feature: Feature<V, Parts, unknown>,
  partsOf: (wiring: Wiring) => Parts,
): Installed {
  return { ...feature, setup: (context: Context<V>, wiring) => feature.setup(context, partsOf(wiring)) }
}
