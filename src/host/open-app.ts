// The app, put together of the features that run: everything is closed in reverse order of its opening.
import type { RequestHandler } from 'express'
import { type Config, InvalidEnvironment } from '../config.ts'
import { inBackground } from '../core/background.ts'
import { keepAdminToken } from '../core/files/admin-token.ts'
import { createInstallation } from '../core/files/installation.ts'
import { createKeyKinds, type DeclaredKeys } from '../core/keys.ts'
import type { Link } from '../feature.ts'
import { createJsonFetcher } from '../http/fetch-json.ts'
import { idempotencyKeys } from '../http/idempotency.ts'
import { createQueueBoard } from '../http/queue-board.ts'
import { createHttpServer } from '../http/server.ts'
import { setSiteIdentity } from '../http/site/site-identity.ts'
import { createScope } from '../lib/scope.ts'
import type { Log } from '../log.ts'
import { createAdmin, createContext, createSite, type Handed, socketRules } from './create-context.ts'
import { keepSecret, secretFact } from './kept-secret.ts'
import { type Core, openCore } from './open-core.ts'
import { setUpFeatures } from './set-up-features.ts'
import type { Installed, Phase } from './wiring.ts'

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
  setSiteIdentity(config.site)
  const running = features.filter(({ name }) => config.features.has(name))
  const migrations = running.flatMap(({ name, migrations: steps }) => (steps ? [{ of: name, steps }] : []))
  // Of those that are left out, too: what they have stored keeps its kind.
  const keys = [idempotencyKeys, ...features.flatMap(({ keys: own }) => (own ? [own] : []))]
  refuseTakenWords(keys)
  const installation = createInstallation(config.dataDir, log, config.runDir)
  const secrets = config.secrets ?? [keepSecret(config.dataDir, log, installation)]
  const facts = config.secrets ? {} : secretFact(secrets[0] ?? '')
  const adminToken = config.adminToken ?? keepAdminToken(config.dataDir, log)
  const core = openCore({ config, installation, facts, migrations, keys, scope, log })
  let phase: Phase = 'starting'
  const links = running.flatMap(({ navigation = [] }) => navigation)
  const handed: Handed = { links: [...links].sort((a, b) => Number(a.isLast ?? 0) - Number(b.isLast ?? 0)) }
  const { fetchJson } = scope.add(createJsonFetcher())
  const isSet = config.adminToken !== undefined
  const { admin, routes: adminRoutes } = createAdmin({ token: adminToken, isSet, secrets, log })
  const context = createContext({ config, core, secrets, admin, fetchJson, handed, log })
  const wiring = { ...core, phase: () => phase, jobBoard: boardAt(core) }
  const all = orClose(() =>
    setUpFeatures({
      running,
      config,
      core: wiring,
      queue: core.queue,
      context,
      recordsOf: core.recordsOf,
      handed,
      scope,
    }),
  )

  handed.links.push(...all.flatMap(({ links: own = [] }) => own))

  function orClose<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      void inBackground(scope.close(), log)
      throw error
    }
  }

  const listOf = <T>(found: T | undefined) => (found === undefined ? [] : [found])
  const server = scope.add(
    createHttpServer({
      trustProxy: config.trustProxy,
      hstsSubdomains: config.hstsSubdomains,
      deadlineMs: config.redis.budgetMs,
      changes: core.changes,
      site: createSite(handed, log),
      log,
      upgrades: all.flatMap(({ sockets = [] }) =>
        sockets.map((socket) => ({ ...socket, handlers: [context.limitBy(socketRules)] })),
      ),
      cached: all.flatMap(({ cached = [] }) => cached),
      probes: all.flatMap(({ probes = [] }) => probes),
      rawRouters: all.flatMap(({ rawRoutes }) => listOf(rawRoutes)),
      limiters: listOf(handed.limits?.limitChanges(all.flatMap(({ ownLimits = [] }) => ownLimits))),
      routers: [adminRoutes, ...all.flatMap(({ routes }) => listOf(routes)), frontDoor(handed.links)],
    }),
  )

  return {
    async listen() {
      const port = await server.listen(config.port)
      core.start()
      for (const { jobs = [], start } of all) {
        // Not earlier: without Redis the last runs of schedules are on disk.
        for (const { name, schedule } of jobs) if (schedule) core.queue.schedule(name, schedule)
        start?.()
      }
      log.info(CHANNEL_LAYER[config.mode === 'memory' ? 'memory' : 'redis'])
      phase = 'serving'
      core.listening()
      return port
    },
    close() {
      phase = 'stopping'
      return scope.close()
    },
  }
}

const boardAt =
  ({ queue }: Core) =>
  (path: string) =>
    createQueueBoard({ path, bull: queue.bull, links: [{ text: 'Dead letters', path: `${path}/dead` }] })

/** Where the headers of pages lead when no feature has a page at /: to the first page there is. */
function frontDoor([first]: readonly Link[]): RequestHandler {
  return function openFrontDoor(req, res, next) {
    if (req.path !== '/' || !['GET', 'HEAD'].includes(req.method) || !first) return next()
    res.redirect(302, first.path + req.url.slice(req.path.length))
  }
}

/** @throws InvalidEnvironment where two features declare the same word of keys. */
function refuseTakenWords(keys: readonly DeclaredKeys[]): void {
  try {
    createKeyKinds(keys)
  } catch (error) {
    throw new InvalidEnvironment([error instanceof Error ? error.message : String(error)])
  }
}
