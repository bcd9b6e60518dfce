// The app, put together of the features that run: everything is closed in reverse order of its opening.
import { type Config, InvalidEnvironment } from '../config.ts'
import type { Setup } from '../feature.ts'
import { createJsonFetcher } from '../http/fetch-json.ts'
import { createQueueBoard } from '../http/queue-board.ts'
import { createHttpServer } from '../http/server.ts'
import { createScope, type Scope } from '../lib/scope.ts'
import type { Log } from '../log.ts'
import { createContext, type Handed, socketRules } from './create-context.ts'
import { keepSecret } from './kept-secret.ts'
import { type Core, openCore } from './open-core.ts'
import { takenPaths } from './taken-paths.ts'
import type { Installed, Phase, Provider, Wiring } from './wiring.ts'

const CHANNEL_LAYER = {
  redis: 'channel layer: Redis (Streams and pub/sub); in memory while Redis is away',
  memory: 'channel layer: in memory (Redis is switched off)',
}

export interface App {
  /** Resolves with the port when connections are accepted. */
  listen(): Promise<number>
  /** Answers what is under way, then closes everything. */
  close(): Promise<void>
}

export interface AppOptions {
  /** All features there are; those run that the configuration names. */
  features: readonly Installed[]
  config: Config
  log: Log
}

/** @throws InvalidEnvironment where two features take the same path or the same role. */
export function openApp({ features, config, log }: AppOptions): App {
  const scope = createScope()
  const running = features.filter(({ name }) => config.features.has(name))
  const migrations = running.flatMap(({ name, migrations: steps }) => (steps ? [{ of: name, steps }] : []))
  const core = openCore({ config, migrations, scope, log })
  let phase: Phase = 'starting'
  const handed: Handed = { links: running.flatMap(({ navigation = [] }) => navigation) }
  const { fetchJson } = scope.add(createJsonFetcher())
  const secrets = config.secrets ?? [keepSecret(config.dataDir, log)]
  const context = createContext({ config, core, secrets, fetchJson, handed, log })
  const setups = setUp({ running, config, core, context, handed, phase: () => phase, scope })

  const all = [...setups.values()]
  const limits = all.find((setup) => setup.limits)?.limits
  const listOf = <T>(found: T | undefined) => (found === undefined ? [] : [found])
  const server = scope.add(
    createHttpServer({
      trustProxy: config.trustProxy,
      deadlineMs: config.redis.budgetMs,
      log,
      upgrades: all.flatMap(({ sockets = [] }) =>
        sockets.map((socket) => ({
          ...socket,
          handlers: [context.limitBy(socketRules)],
        })),
      ),
      rawRouters: all.flatMap(({ rawRoutes }) => listOf(rawRoutes)),
      routers: [
        ...listOf(limits?.limitChanges(all.flatMap(({ ownLimits = [] }) => ownLimits))),
        ...all.flatMap(({ routes }) => listOf(routes)),
      ],
    }),
  )

  return {
    async listen() {
      const port = await server.listen(config.port)
      core.start()
      for (const { start } of all) start?.()
      log.info(CHANNEL_LAYER[config.mode === 'memory' ? 'memory' : 'redis'])
      phase = 'serving'
      return port
    },
    close() {
      phase = 'stopping'
      return scope.close()
    },
  }
}

interface SetUpParts {
  running: readonly Installed[]
  config: Config
  core: Core
  context: ReturnType<typeof createContext>
  handed: Handed
  phase: () => Phase
  scope: Scope
}

/** What each feature handed back, in the order of the list. */
function setUp({ running, config, core, context, handed, phase, scope }: SetUpParts): Map<string, Setup> {
  const setups = new Map<string, Setup>()
  const of = <Provides>({ name }: Provider<Provides>) => setups.get(name)?.provides as Provides | undefined
  const wiring: Wiring = {
    core: { ...core, phase, jobBoard: (path) => createQueueBoard(path, core.queue.bull) },
    of,
    needed: (feature) => of(feature) as never,
  }
  for (const feature of running) {
    const own = { ...context, config: config.features.get(feature.name) }
    const setup = feature.setup(own as never, wiring)
    if (setup.users && handed.users) throw taken(feature, 'users')
    if (setup.limits && handed.limits) throw taken(feature, 'limits')
    Object.assign(handed, {
      ...(setup.users && { users: setup.users }),
      ...(setup.limits && { limits: setup.limits }),
    })
    setups.set(feature.name, setup)
    scope.add({ close: () => setup.close?.() })
    for (const { name, run, schedule, ...options } of setup.jobs ?? []) {
      core.queue.work(name, run, options)
      if (schedule) core.queue.schedule(name, schedule)
    }
  }
  const problems = takenPaths(setups)
  if (problems.length > 0) throw new InvalidEnvironment(problems)
  return setups
}

const taken = ({ name }: Installed, what: string) =>
  new InvalidEnvironment([
    `the feature ${name} hands back ${what}, as another feature does: leave one of them out`,
  ])
