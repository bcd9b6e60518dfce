// All that the container is put through, and what happens to its Redis servers.
import { pause } from '../../src/lib/time.ts'
import type { Samovar } from '../../test/helpers/image.ts'
import { allowServers } from '../../test/helpers/image-state.ts'
import {
  appKilled,
  appKilledInOutage,
  killedWhole,
  paused,
  redeployed,
  restarted,
} from './container-faults.ts'
import { type Fault, ROLES } from './fault.ts'
import { command, empty, fill, type Role, signalRole } from './inside.ts'

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
