// The container under attack, the control beside it, and how one attack is judged.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Market, startMarket } from '../../bench/soak/fake-market.ts'
import { type AppRoute, routesOfApp } from '../helpers/app-routes.ts'
import { bootBare } from '../helpers/bare-container.ts'
import { BOT_TOKEN } from '../helpers/fake-bot-api.ts'
import { boot, type Container, removeAll, type Samovar, startContainer, until } from '../helpers/image.ts'
import { type Extent, floodOfLines, type Spec } from './attacks.ts'
import { addRow, type Row } from './table.ts'
import { openVisitors, type Visitors, WEBHOOK_SECRET } from './visitors.ts'
import { appPid, type ControlClock, clockOf, memoryMib, servers, watchLivez, watchMemory } from './watch.ts'

const LIMITS = { memoryMb: 512, cpus: 1 }
const ATTACKER_LIMITS = { memoryMb: 1_024, cpus: 0.5 }
const ATTACKER_FOLDER: [string, string] = [join(process.cwd(), 'test/hostile/attacker'), '/attacker']
const isFull = process.env.SAMOVAR_HOSTILE === 'full'

/** The promise of the issue. watch.ts says whose silence it is. */
const MOST_SILENCE_MS = 1_000
/** More where a round of the control took so long at the same time, a second at most. */
const grace = (slowestMs: number) => Math.min(slowestMs, 1_000)
/** Visitors log in from one address, which may do so 60 times. */
const MOST_LOGINS = 40
const AFTER_MS = 10_000
/** The share of a visitor's requests that may fail during an attack. */
const MOST_UNSERVED = 0.02
/** A heap that was used is not given back immediately. */
const MOST_MORE_MIB = 128

export interface Stage {
  readonly env: Record<string, string>
  readonly isProxied: boolean
  /** Redis is switched off. */
  readonly isMemoryOnly?: boolean
}

interface Open {
  readonly samovar: Samovar
  readonly clock: ControlClock
  readonly visitors: Visitors
}

/** Declares a test for each attack. The container is kept from one to the next, and replaced where it was hurt. */
export function attackAll(stage: Stage, specs: readonly Spec[]): void {
  let market: Market
  let routes: AppRoute[]
  let bare: Container
  let clock: ControlClock
  let open: Open | undefined

  beforeAll(async () => {
    routes = (await routesOfApp()).filter(({ method }) => method !== 'ALL')
    market = await startMarket()
    bare = await bootBare(LIMITS)
    await bare.firstAnswerMs('/')
    clock = clockOf(bare)
  })
  afterAll(async () => {
    await removeAll()
    await market?.close()
  })

  async function openSamovar(): Promise<Open> {
    const third = {
      TELEGRAM_BOT_TOKEN: BOT_TOKEN,
      WEBHOOK_SECRETS: `payments=whsec_${WEBHOOK_SECRET}`,
      ...market.env,
    }
    const samovar = await boot({ ...LIMITS, files: market.files, env: { ...third, ...stage.env } })
    await until('it is ready', async () => (await samovar.get('/readyz')).status === 200)
    if (!stage.isMemoryOnly) await samovar.status('redis')
    const visitors = await openVisitors(samovar, clock, stage.isProxied)
    await until('all are served', async () => (await visitors.once()).length === 0)
    return { samovar, clock, visitors }
  }

  const meant = specs.filter(({ short }) => isFull || short !== undefined)
  test.each(meant.map((spec) => [`${spec.attack}: ${spec.what}`, spec] as const))(
    '%s',
    async (_name, spec) => {
      open ??= await openSamovar()
      const faults = await judge(open, spec, (isFull ? spec.full : spec.short) as Extent, stage, routes)
      // In the full form each has its own, so that the visitors' logins do not add up to the limit of their address.
      if (faults.length > 0 || isFull || open.visitors.logins() > MOST_LOGINS) {
        await open.samovar.remove().catch(() => {})
        open = undefined
      }
      expect(faults).toEqual([])
    },
  )
}

/** Attacks, and says what did not hold. */
async function judge(
  { samovar, clock, visitors }: Open,
  spec: Spec,
  extent: Extent,
  stage: Stage,
  routes: readonly AppRoute[],
): Promise<string[]> {
  const before = {
    servers: await servers(samovar),
    mib: await memoryMib(samovar),
    lines: (await samovar.log()).length,
  }
  const beganAtMs = Date.now()
  clock.takeSlowestMs()
  const memory = watchMemory(samovar)
  const livez = watchLivez(samovar, clock, await appPid(samovar))
  const visits = visitors.begin(Math.max(6_000, extent.seconds * 250))

  const cookie = visitors.attackersCookie
  const seen = await attack(samovar, spec, extent, stage, routes, cookie).catch(async (error) => {
    // These would keep the process of the tests alive.
    await Promise.all([visits.stop(), livez.stop(), memory.stop()])
    throw error
  })
  const tallies = await visits.stop()
  // The silence that the attack has left behind counts as well: until all is as before.
  const left = await leftAfter(async () => {
    const moreMib = (await memoryMib(samovar)) - before.mib
    const kept = moreMib > MOST_MORE_MIB ? [`${Math.round(moreMib)} MiB more are in use`] : []
    return [...(await visitors.once()), ...kept]
  }, clock)
  const [silence, mostMib] = [await livez.stop(), await memory.stop()]
  const slowestMs = clock.takeSlowestMs()
  const afterMib = await memoryMib(samovar)
  const logged = (await samovar.log()).slice(before.lines)
  const { State } = await samovar.raw.inspect()
  const hasRestarted =
    !State.Running || State.OOMKilled || (await servers(samovar).catch(() => '')) !== before.servers

  const unserved = Object.entries(tallies).flatMap(([kind, { asked, served, refusals }]) =>
    asked - served > asked * MOST_UNSERVED
      ? [`${kind}: ${asked - served} of ${asked} not served ${JSON.stringify(refusals)}`]
      : [],
  )
  const faults = [
    ...(isReached(seen) ? [] : [`the attack reached nothing: ${JSON.stringify(seen)}`]),
    ...(spec.hasManyAddresses && (seen.addresses ?? 0) < 1_000 ? ['the attacker had one address'] : []),
    ...(silence.longestMs > MOST_SILENCE_MS + grace(slowestMs)
      ? [`/livez silent for ${(silence.longestMs / 1_000).toFixed(1)} s`]
      : []),
    ...unserved,
    ...(hasRestarted ? [`restarted${State.OOMKilled ? ', out of memory' : ''}`] : []),
    ...left.map((wrong) => `ten seconds after, ${wrong}`),
    ...[spec.fault?.(seen, logged), floodOfLines(logged.length, (Date.now() - beganAtMs) / 1_000)].filter(
      (fault) => fault !== undefined,
    ),
  ]
  const row: Row = { what: spec.what, seen, silence, mib: [before.mib, mostMib, afterMib], tallies, faults }
  addRow(row)
  return faults
}

const isReached = (seen: Readonly<Record<string, number>>) =>
  Object.keys(seen).some((what) => what === 'opened' || /^\d{3}$/.test(what))

/** What is not as before, at the latest after ten seconds; looks for two at least, as some damage comes late. */
async function leftAfter(look: () => Promise<string[]>, clock: ControlClock): Promise<string[]> {
  const fromMs = clock.nowMs()
  await clock.sleep(2_000)
  for (;;) {
    const left = await look()
    if (left.length === 0 || clock.nowMs() - fromMs > AFTER_MS) return left
    await clock.sleep(500)
  }
}

/** Runs the attackers, and adds up what they saw. One that does not end is ended. */
async function attack(
  samovar: Samovar,
  { attack: name, hasManyAddresses = false }: Spec,
  { seconds, count = 0, from = 1 }: Extent,
  { isProxied }: Stage,
  routes: readonly AppRoute[],
  cookie: string,
): Promise<Record<string, number>> {
  const { hostname: host, port } = new URL(samovar.origin())
  const options = { seconds, count: Math.ceil(count / from), routes, isProxied, hasManyAddresses, cookie }
  const words = [name, JSON.stringify({ host, port: Number(port) }), JSON.stringify(options)]
  const attackers = await Promise.all(
    Array.from({ length: from }, () =>
      startContainer({ ...ATTACKER_LIMITS, files: [ATTACKER_FOLDER], user: 'root' }, [
        'node',
        '--disable-warning=ExperimentalWarning',
        '/attacker/run.ts',
        ...words,
      ]),
    ),
  )
  if (hasManyAddresses) for (const attacker of attackers) await addAddresses(attacker)
  const sums: Record<string, number> = {}
  for (const attacker of attackers) {
    await attacker.exitCode()
    const said = (await attacker.log()).map(({ text }) => text)
    const saw = said.find((line) => line.startsWith('saw '))
    if (!saw) throw new Error(`the attacker failed: ${said.join('\n')}`)
    const counts = JSON.parse(saw.slice('saw '.length)) as Record<string, number>
    for (const [what, times] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + times
    await attacker.remove()
  }
  return sums
}

/** Makes a part of the container network's addresses local to it, so that it may come from each. */
async function addAddresses(container: Container): Promise<void> {
  const { State, NetworkSettings } = await container.raw.inspect()
  const [a, b] = (Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? '').split('.')
  const inside = [
    '-t',
    String(State.Pid),
    '-n',
    'ip',
    'route',
    'add',
    'local',
    `${a}.${b}.192.0/18`,
    'dev',
    'lo',
  ]
  execFileSync('nsenter', inside, { stdio: 'inherit' })
}
