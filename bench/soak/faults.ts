// What the container is put through. Each fault ends by itself, and says in a few words what it was.

import { pause } from '../../src/lib/time.ts'
import { type Samovar, until } from '../../test/helpers/image.ts'
import { allowServers } from '../../test/helpers/image-state.ts'
import type { Random } from '../../test/helpers/random.ts'
import { command, empty, fill, holdsData, killApp, type Role, signalRole } from './inside.ts'
import type { Stage } from './stage.ts'

export interface Fault {
  readonly name: string
  /** Whether the app's process ends with it. */
  readonly endsApp: boolean
  readonly isRedeploy?: boolean
  run(stage: Stage, random: Random): Promise<string>
}

const ROLES: readonly Role[] = ['cache', 'state']
/** More than either role may hold on a plan of 2 GiB; the cache evicts, and would never refuse. */
const MOST_PADS = 450
const CACHE_PADS = 120

export interface Choice {
  readonly withRedeploys: boolean
  readonly only?: string | undefined
}

export function faultsFor({ withRedeploys, only = '' }: Choice): Fault[] {
  const all = [
    ...ROLES.flatMap((role) => [killed(role), frozen(role), flushed(role), filled(role)]),
    ...[bothKilled, bothFrozen, keptAway, cutOff, scriptsFlushed, killedInRewrite, paused],
    ...[appKilled, appKilledInOutage, restarted, killedWhole, ...(withRedeploys ? [redeployed] : [])],
  ]
  return all.filter(({ name }) => name.includes(only))
}

const killed = (role: Role): Fault => ({
  name: `redis-${role} killed (-9)`,
  endsApp: false,
  async run({ current }, random) {
    const times = 1 + random.below(3)
    for (let i = 0; i < times; i += 1) {
      await signalRole(current(), role, 'KILL').catch(() => {}) // it may not be up again
      await pause(random.below(1_500))
    }
    return times === 1 ? 'once' : `${times} times`
  },
})

const frozen = (role: Role): Fault => ({
  name: `redis-${role} frozen`,
  endsApp: false,
  run: ({ current }, random) => freeze(current(), [role], 500 + random.below(12_000)),
})

const bothFrozen: Fault = {
  name: 'both frozen',
  endsApp: false,
  run: ({ current }, random) => freeze(current(), ROLES, 500 + random.below(8_000)),
}

async function freeze(samovar: Samovar, roles: readonly Role[], forMs: number): Promise<string> {
  for (const role of roles) await signalRole(samovar, role, 'STOP')
  await pause(forMs)
  // Above 10 s the guard has killed it, and its successor is not frozen.
  for (const role of roles) await signalRole(samovar, role, 'CONT').catch(() => {})
  return `${(forMs / 1_000).toFixed(1)} s`
}

const flushed = (role: Role): Fault => ({
  name: `redis-${role} emptied (FLUSHALL)`,
  endsApp: false,
  run: async ({ current }) => command(current(), role, 'FLUSHALL'),
})

const filled = (role: Role): Fault => ({
  name: `redis-${role} filled`,
  endsApp: false,
  async run({ current }, random) {
    const pads = await fill(current(), role, role === 'cache' ? CACHE_PADS : MOST_PADS)
    const forMs = 2_000 + random.below(6_000)
    await pause(forMs)
    await empty(current(), role)
    return `${pads} MiB, for ${(forMs / 1_000).toFixed(1)} s`
  },
})

const bothKilled: Fault = {
  name: 'both killed (-9)',
  endsApp: false,
  async run({ current }) {
    for (const role of ROLES) await signalRole(current(), role, 'KILL').catch(() => {})
    return ''
  },
}

const keptAway: Fault = {
  name: 'both kept from starting',
  endsApp: false,
  async run({ current }, random) {
    const forMs = 3_000 + random.below(12_000)
    await allowServers(current(), false)
    for (const role of ROLES) await signalRole(current(), role, 'KILL').catch(() => {})
    await pause(forMs)
    await allowServers(current(), true)
    return `${(forMs / 1_000).toFixed(1)} s`
  },
}

const cutOff: Fault = {
  name: 'every connection cut (CLIENT KILL)',
  endsApp: false,
  async run({ current }) {
    for (const role of ROLES) await command(current(), role, 'CLIENT KILL TYPE normal')
    return ''
  },
}

const scriptsFlushed: Fault = {
  name: 'scripts forgotten (SCRIPT FLUSH)',
  endsApp: false,
  run: ({ current }) => command(current(), 'state', 'SCRIPT FLUSH'),
}

const killedInRewrite: Fault = {
  name: 'redis-state killed in a rewrite of its file',
  endsApp: false,
  async run({ current }) {
    await command(current(), 'state', 'BGREWRITEAOF')
    await signalRole(current(), 'state', 'KILL')
    return ''
  },
}

const paused: Fault = {
  name: 'container paused',
  endsApp: false,
  run: (stage, random) =>
    stage.gap('paused', async () => {
      const forMs = 1_000 + random.below(6_000)
      const { raw } = stage.current()
      await raw.pause()
      await pause(forMs)
      await raw.unpause()
      return `${(forMs / 1_000).toFixed(1)} s`
    }),
}

/** Until the container answers, and has its data. */
async function servesAgain(samovar: Samovar): Promise<void> {
  await until('the container serves again', async () => (await samovar.get('/readyz')).status === 200)
  await until('it holds its data', () => holdsData(samovar))
}

const appKilled: Fault = {
  name: 'app killed (-9)',
  endsApp: true,
  run: (stage) =>
    stage.gap('app killed', async () => {
      await killApp(stage.current())
      await pause(500)
      await servesAgain(stage.current())
      return ''
    }),
}

const appKilledInOutage: Fault = {
  name: 'app killed (-9) while both are away',
  endsApp: true,
  async run(stage, random) {
    const samovar = stage.current()
    await allowServers(samovar, false)
    for (const role of ROLES) await signalRole(samovar, role, 'KILL').catch(() => {})
    await pause(1_000 + random.below(4_000))
    await appKilled.run(stage, random)
    await pause(random.below(4_000))
    await allowServers(samovar, true)
    return ''
  },
}

const restarted: Fault = {
  name: 'container stopped and started',
  endsApp: true,
  run: (stage) =>
    stage.gap('container restarted', async () => {
      const { code, tookMs } = await stage.current().stop()
      await stage.current().start()
      await servesAgain(stage.current())
      return `ended with ${code} after ${(tookMs / 1_000).toFixed(1)} s`
    }),
}

export const killedWhole: Fault = {
  name: 'container killed (-9) and started',
  endsApp: true,
  run: (stage) =>
    stage.gap('container killed', async () => {
      await stage.current().kill()
      await stage.current().start()
      await servesAgain(stage.current())
      return ''
    }),
}

/** Clients are sent to both from when the new one is ready until the old one is stopped, as platforms do. */
const redeployed: Fault = {
  name: 'redeployed',
  endsApp: true,
  isRedeploy: true,
  run: (stage, random) =>
    stage.gap('redeploy', async () => {
      const old = stage.current()
      const young = await stage.bootAnother()
      await until('the newcomer is ready', async () => (await young.get('/readyz')).status === 200)
      stage.serveFrom(old, young)
      await until('the newcomer holds the data', () => holdsData(young))
      const togetherMs = random.below(4_000)
      await pause(togetherMs)
      stage.serveFrom(young)
      const { code } = await old.stop()
      stage.retire(await old.text())
      await old.remove()
      return `both for ${(togetherMs / 1_000).toFixed(1)} s after the hand-over; the old one ended with ${code}`
    }),
}
