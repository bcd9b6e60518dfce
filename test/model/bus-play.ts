// Three processes on one Redis, some channels, and their subscribers: random steps from a seed, random faults, and what
// every subscriber was given, held against the contract. Now and then everything is left to calm down, and has to be
// one again.
import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Position } from '../../src/core/bus/bus.ts'
import type { BusParts } from '../../src/core/bus/open-bus.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/fault-proxy.ts'
import { type Listener, listen } from '../helpers/listener.ts'
import { createRandom } from '../helpers/random.ts'
import type { TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const PROCESSES = 3
const CHANNELS = 6
const MOST_CLIENTS = 14
const CALM_EVERY = 1_000
const SETTLED_MS = 5_000 // what Redis has not got is tried again within a second

/** What the contract does not allow. */
export class Violation extends Error {}

interface Node {
  readonly process: TestProcess
  readonly proxy: FaultProxy
}

/** A subscriber that leaves, and comes back in another process. */
interface Client {
  readonly channel: string
  readonly isSlow: boolean
  /** What it was given, and where. */
  readonly had: Map<unknown, string>
  listener: Listener | undefined
  last: Position | undefined
}

export interface BusPlay {
  readonly seed: number
  readonly steps: number
  readonly redis: TestRedis
  readonly busParts?: BusParts
}

export interface BusTally {
  published: number
  delivered: number
  gaps: Record<string, number>
  faults: Record<string, number>
  recovered: number
}

export async function playBus({ seed, steps, redis, busParts }: BusPlay): Promise<BusTally> {
  const random = createRandom(seed)
  const tally: BusTally = { published: 0, delivered: 0, gaps: {}, faults: {}, recovered: 0 }
  const channels = Array.from({ length: CHANNELS }, (_, i) => `seed-${seed}-${randomUUID()}-${i}`)
  const nodes: Node[] = []
  for (let i = 0; i < PROCESSES; i += 1) {
    const proxy = await openFaultProxy(redis.port)
    const opened = await openProcess({ cacheUrl: proxy.url, budgetMs: 150, ...(busParts && { busParts }) })
    nodes.push({ proxy, process: opened })
  }
  const clients: Client[] = []
  let violation: Violation | undefined
  const members = new Map(channels.map((channel) => [channel, new Map<string, Node>()]))
  let phase = new Map<string, number[]>() // what was published in each channel since it was calm
  let isLossy = false // Redis was emptied since
  let wasLossy = false // … ever
  const underWay: Promise<unknown>[] = []
  let ending: { atStep: number; end: () => Promise<void> | void } | undefined

  async function publish(node: Node, channel: string): Promise<void> {
    tally.published += 1
    const number = tally.published
    phase.set(channel, [...(phase.get(channel) ?? []), number])
    await node.process.bus.publish(channel, number)
  }

  async function start(client: Client, node: Node): Promise<void> {
    const { isSlow, channel, last } = client
    const listener = await listen(node.process.bus, channel, {
      ...(isSlow && { capacity: 4, wait: () => pause(3) }),
      ...(last && { since: last }),
    })
    if (last && listener.subscription.recovered) tally.recovered += 1
    const { position, missed, recovered } = listener.subscription
    if (last && recovered && missed.length !== position.offset - last.offset)
      throw new Violation('said recovered')
    // Who could not continue where it was may be given again what it had elsewhere, under the same id.
    if (!recovered || isLossy) client.had.clear()
    client.listener = listener
  }

  /** Holds what the client was told against the contract, and forgets it. What was wrong once stays wrong. */
  function judge(client: Client): void {
    const { listener, channel } = client
    if (listener) {
      for (const wrong of listener.wrongs) violation ??= new Violation(`${channel}: ${wrong}`)
      for (const { data, epoch, offset } of listener.messages.splice(0)) {
        const [place, before] = [`${epoch}:${offset}`, client.had.get(data)]
        if (before) violation ??= new Violation(`${channel}: ${data} came twice, at ${before} and ${place}`)
        client.had.set(data, place)
        tally.delivered += 1
      }
    }
    if (violation) throw violation
    if (!listener) return
    for (const { reason } of listener.gaps.splice(0)) tally.gaps[reason] = (tally.gaps[reason] ?? 0) + 1
  }

  function stop(client: Client): void {
    client.listener?.subscription.close()
    judge(client)
    client.last = client.listener?.position()
    client.listener = undefined
  }

  async function fault(step: number): Promise<void> {
    const { proxy } = random.pick(nodes)
    const kind = random.pick([
      'drop',
      'drop',
      'refuse',
      'hang',
      'late',
      'pubsub',
      'pubsub',
      'kill',
      'freeze',
      'flush',
    ])
    tally.faults[kind] = (tally.faults[kind] ?? 0) + 1
    const until = (end: () => Promise<void> | void) => {
      ending = { atStep: step + 10 + random.below(60), end }
    }
    if (kind === 'drop') proxy.drop()
    else if (kind === 'pubsub') await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    else if (kind === 'flush') {
      isLossy = true
      wasLossy = true
      await redis.command('FLUSHALL')
    } else if (kind === 'kill') {
      await redis.kill()
      until(() => redis.start())
    } else if (kind === 'freeze') {
      redis.freeze()
      until(redis.thaw)
    } else {
      proxy.set(kind as 'refuse' | 'hang' | 'late')
      until(async () => {
        proxy.set('none')
        if (random.chance(0.5)) await proxy.deliverSwallowed()
        else proxy.forgetSwallowed()
      })
    }
  }

  async function endFault(): Promise<void> {
    const ended = ending
    ending = undefined
    await ended?.end()
  }

  async function step(number: number): Promise<void> {
    if (ending && number >= ending.atStep) await endFault()
    const node = random.pick(nodes)
    const channel = random.pick(channels)
    const choice = random.below(1_000)
    if (choice < 600) {
      const sent = publish(node, channel)
      if (random.chance(0.5)) await sent
      else underWay.push(sent)
    } else if (choice < 700) {
      const client = {
        channel,
        isSlow: random.chance(0.2),
        had: new Map(),
        listener: undefined,
        last: undefined,
      }
      if (clients.length < MOST_CLIENTS) {
        clients.push(client)
        await start(client, node)
      }
    } else if (choice < 850 && clients.length > 0) {
      const client = random.pick(clients)
      if (!client.listener) await start(client, node)
      else if (random.chance(0.8)) stop(client)
      else {
        stop(client)
        clients.splice(clients.indexOf(client), 1)
      }
    } else if (choice < 930) {
      const id = `m${random.below(9)}-${nodes.indexOf(node)}`
      await node.process.bus.enter(channel, { id, info: number }, 100)
      members.get(channel)?.set(id, node)
    } else if (choice < 980) {
      const [id, home] = [...(members.get(channel) ?? [])][0] ?? []
      if (id && home) {
        await home.process.bus.leave(channel, id)
        members.get(channel)?.delete(id)
      }
    } else if (choice < 990) {
      if (!ending) await fault(number)
    }
    await setImmediate()
    for (const client of clients) judge(client)
  }

  async function calm(): Promise<void> {
    await endFault()
    await Promise.all(underWay.splice(0))
    for (const node of nodes) await node.process.untilStatus('redis')
    for (const channel of channels) {
      for (const node of nodes) await publish(node, channel)
      await settled(() => checkChannel(channel))
      await settled(() => checkHistory(channel))
      await settled(() => checkMembers(channel))
    }
    phase = new Map()
    isLossy = false
  }

  /** Throws what the check found last, or immediately what no time can mend. */
  async function settled(check: () => Promise<void> | void): Promise<void> {
    await eventually(() => violation ?? check(), SETTLED_MS)
    if (violation) throw violation
  }

  /** Who listens is where the others are, and has the last message. */
  function checkChannel(channel: string): void {
    const listening = clients.filter((client) => client.channel === channel && client.listener)
    for (const client of listening) judge(client)
    const places = new Set(listening.map(({ listener }) => JSON.stringify(listener?.position())))
    if (places.size > 1) throw new Violation(`${channel}: listeners are in ${[...places].join(' and ')}`)
    const last = phase.get(channel)?.at(-1)
    for (const client of listening) {
      if (!client.isSlow && !client.had.has(last)) {
        throw new Violation(`${channel}: ${last} did not come`)
      }
    }
  }

  async function checkHistory(channel: string): Promise<void> {
    const [first = [], ...others] = await Promise.all(
      nodes.map(({ process }) => process.bus.history(channel)),
    )
    for (const other of others) {
      if (JSON.stringify(other) !== JSON.stringify(first)) {
        const ends = await Promise.all(nodes.map(({ process }) => endOfHistory(process, channel)))
        throw new Violation(`${channel}: histories differ: ${ends.join('; ')}`)
      }
    }
    const data = first.map((message) => message.data as number)
    if (new Set(data).size < data.length) {
      const twice = first.filter(
        (message) => data.indexOf(message.data as number) !== data.lastIndexOf(message.data as number),
      )
      const range = `${first[0]?.offset}–${first.at(-1)?.offset}`
      throw new Violation(`${channel}: a message is twice in history: ${JSON.stringify(twice)} of ${range}`)
    }
    const published = phase.get(channel) ?? []
    const lost = published.filter((number) => !data.includes(number))
    if (!isLossy && published.length < 180 && lost.length > 0) {
      throw new Violation(`${channel}: ${lost.join(', ')} missing in history`)
    }
  }

  async function checkMembers(channel: string): Promise<void> {
    const expected = [...(members.get(channel)?.keys() ?? [])].sort()
    for (const { process } of nodes) {
      const all = (await process.bus.members(channel)).map(({ id }) => id).sort()
      // Who left before Redis lost everything may be remembered elsewhere until its process is heard again.
      const found = wasLossy ? all.filter((id) => expected.includes(id)) : all
      if (found.join() !== expected.join())
        throw new Violation(`${channel}: ${all} are there, not ${expected}`)
    }
  }

  try {
    for (const { process } of nodes) await process.untilStatus('redis')
    for (let number = 1; number <= steps; number += 1) {
      await step(number)
      if (number % CALM_EVERY === 0) await calm()
    }
    return tally
  } finally {
    await endFault()
    await Promise.allSettled(underWay)
    for (const { process, proxy } of nodes) {
      await process.close()
      proxy.close()
    }
  }
}

async function endOfHistory({ bus, stateRole }: TestProcess, channel: string): Promise<string> {
  const last = (await bus.history(channel)).slice(-3)
  const places = last.map(({ epoch, offset, data }) => `${epoch}:${offset}=${data}`)
  return `${stateRole.status().status} ${places}`
}
