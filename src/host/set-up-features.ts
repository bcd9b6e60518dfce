// Sets up the features that run, in the order of the list, and refuses what two of them take.
import { type Config, InvalidEnvironment, valueIn } from '../config.ts'
import type { Queue } from '../core/queue/queue.ts'
import type { Setup } from '../feature.ts'
import type { Scope } from '../lib/scope.ts'
import type { Handed, SharedContext } from './create-context.ts'
import type { Core } from './open-core.ts'
import { takenPaths } from './taken-paths.ts'
import type { CoreParts, Installed, Provider, Wiring } from './wiring.ts'

export interface SetUpOptions {
  running: readonly Installed[]
  config: Config
  core: CoreParts
  queue: Queue
  context: SharedContext
  recordsOf: Core['recordsOf']
  /** Gets what features hand back for all others. */
  handed: Handed
  scope: Scope
}

/** What each feature handed back. @throws InvalidEnvironment */
export function setUpFeatures({
  running,
  config,
  core,
  queue,
  context,
  recordsOf,
  handed,
  scope,
}: SetUpOptions): Setup[] {
  const setups = new Map<string, Setup>()
  const of = <Provides>({ name }: Provider<Provides>) => setups.get(name)?.provides as Provides | undefined
  const wiring: Wiring = {
    core,
    of,
    needed: (feature) => of(feature) as never,
    schemes: running.flatMap(({ schemes = [] }) => schemes),
    variable: valueIn(config.features),
  }

  function hand({ name }: Installed, { users, limits }: Setup): void {
    if ((users && handed.users) || (limits && handed.limits)) {
      const what = users ? 'who is logged in' : 'the limits'
      throw new InvalidEnvironment([
        `the feature ${name} decides ${what}, as another one does: leave one of them out`,
      ])
    }
    Object.assign(handed, { ...(users && { users }), ...(limits && { limits }) })
  }

  const workers = new Map<string, string>() // by the names of jobs
  for (const feature of running) {
    const own = {
      ...context,
      records: recordsOf(feature.name),
      config: config.features.get(feature.name),
    }
    const setup = feature.setup(own as never, wiring)
    scope.add({ close: () => setup.close?.() })
    setups.set(feature.name, setup)
    hand(feature, setup)
    for (const { name, run, schedule: _begunLater, ...options } of setup.jobs ?? []) {
      if (!/^[a-z0-9-]+$/i.test(name))
        throw new InvalidEnvironment([
          `the job "${name}" of the feature ${feature.name} has a name with more than letters, digits and dashes`,
        ])
      const owner = workers.get(name)
      if (owner)
        throw new InvalidEnvironment([`the job ${name} of the feature ${feature.name} is taken by ${owner}`])
      workers.set(name, feature.name)
      queue.work(name, run, options)
    }
  }
  const problems = takenPaths(setups)
  if (problems.length > 0) throw new InvalidEnvironment(problems)
  return [...setups.values()]
}
