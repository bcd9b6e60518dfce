// Two processes serve one room while Redis is frozen and killed under them. Whatever happens: within an epoch no
// socket is told a place before the one it was told last, and who returns after the last place is told nothing up to
// it again.
import type { ServerMessage } from '../../src/features/calls/protocol.ts'
import { makeRoomName } from '../../src/features/calls/room-name.ts'
import { pause } from '../../src/lib/time.ts'
import { type CallClient, cut, openCall } from '../helpers/call-client.ts'
import { type CallsApp, startCalls } from '../helpers/calls-app.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const STEPS = Number(process.env.CALLS_STEPS ?? 600)
const SEED = Number(process.env.CALLS_SEED ?? 1)

let redis: TestRedis
let processes: TestProcess[]
let apps: CallsApp[]

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always')
  processes = [await openProcess({ cacheUrl: redis.url }), await openProcess({ cacheUrl: redis.url })]
  for (const process of processes) await process.untilStatus('redis')
  apps = await Promise.all(processes.map(({ bus }) => startCalls({ bus })))
})
afterEach(async () => {
  for (const app of apps) await app.close()
  for (const process of processes) await process.close()
  await redis.stop()
})

interface Place {
  readonly epoch: string
  readonly offset: number
}
type Since = Place & { signals: Place }

/** Somebody with a page: holds on to the last place, as the page does, and complains. */
interface Caller {
  readonly name: string
  readonly complaints: string[]
  client: CallClient | undefined
  read: number
  id: string
  resume: string
  since: Since | undefined
  /** As the last join said. */
  returned: Since | undefined
}

function check(caller: Caller, message: ServerMessage): void {
  if (message.type === 'joined') {
    const { you, epoch, offset, signals } = message
    Object.assign(caller, { id: you.id, resume: you.resume, since: { epoch, offset, signals } })
    return
  }
  const { since } = caller
  if (!since) return
  const { room, signals } = placesIn(message)
  if (room) {
    move(caller, [since, room, caller.returned], message)
    Object.assign(since, room)
  }
  if (signals) {
    move(caller, [since.signals, signals, caller.returned?.signals], message)
    since.signals = signals
  }
  if (message.type === 'pong') caller.resume = message.resume ?? caller.resume
}

function placesIn(message: ServerMessage): { room?: Place; signals?: Place } {
  if (message.type === 'pong' && message.epoch !== undefined) {
    const { epoch, offset = 0, signals } = message
    return { room: { epoch, offset }, ...(signals && { signals }) }
  }
  if (message.type !== 'said' && message.type !== 'signal' && message.type !== 'gap') return {}
  const { epoch, offset } = message
  const isSignals = message.type === 'signal' || (message.type === 'gap' && message.of === 'signals')
  return { [isSignals ? 'signals' : 'room']: { epoch, offset } }
}

function move(
  { name, complaints }: Caller,
  [from, to, returned]: [Place, Place, Place | undefined],
  message: ServerMessage,
): void {
  const shown = ({ epoch, offset }: Place) => `${epoch.slice(0, 4)}:${offset}`
  const step = `${name}: ${message.type} at ${shown(to)} after ${shown(from)}`
  if (to.epoch === from.epoch && to.offset < from.offset) complaints.push(`back: ${step}`)
  if (message.type !== 'gap' && to.epoch !== from.epoch) complaints.push(`unannounced: ${step}`)
  if (message.type !== 'said' && message.type !== 'signal') return
  const wasHad = (last: Place | undefined) => to.epoch === last?.epoch && to.offset <= last.offset
  if (wasHad(from) || wasHad(returned)) complaints.push(`twice: ${step}`)
}

test(`what a socket is told is in order, and once (CALLS_SEED=${SEED})`, async () => {
  const random = createRandom(SEED)
  const room = makeRoomName('group')
  const tally = { said: 0, signals: 0, gaps: 0, returns: 0, recovered: 0, faults: 0 }
  const callers = ['Anna', 'Boris', 'Vera', 'Gleb'].map(
    (name): Caller => ({
      name,
      complaints: [],
      client: undefined,
      read: 0,
      id: '',
      resume: '',
      since: undefined,
      returned: undefined,
    }),
  )

  function hear(caller: Caller): void {
    const { messages = [] } = caller.client ?? {}
    for (const message of messages.slice(caller.read)) {
      check(caller, message)
      if (message.type === 'said') tally.said += 1
      if (message.type === 'signal') tally.signals += 1
      if (message.type === 'gap') tally.gaps += 1
      if (message.type === 'joined' && message.resumed) tally.returns += 1
      if (message.type === 'joined' && message.resumed && message.recovered) tally.recovered += 1
    }
    caller.read = messages.length
  }

  async function enter(caller: Caller): Promise<void> {
    const app = random.pick(apps)
    caller.client = await openCall(app.url, { headers: { 'x-test-user': caller.name } })
    caller.read = 0
    const { resume, since } = caller
    caller.returned = structuredClone(since)
    await caller.client.join(room, resume ? { resume, since } : {})
  }

  let ending: { atMs: number; end: () => Promise<void> | void } | undefined
  async function fault(): Promise<void> {
    const now = performance.now()
    if (ending && now < ending.atMs) return
    await ending?.end()
    const wasFaulty = ending !== undefined
    ending = undefined
    if (wasFaulty || random.below(60) > 0) return
    tally.faults += 1
    if (random.below(2) === 0) {
      redis.freeze()
      ending = { atMs: now + 100 + random.below(900), end: () => redis.thaw() }
    } else {
      await redis.kill()
      ending = { atMs: now + 300 + random.below(1_500), end: () => redis.start() }
    }
  }

  for (const caller of callers) await enter(caller)
  for (let n = 0; n < STEPS; n += 1) {
    const caller = random.pick(callers)
    const other = random.pick(callers)
    const what = random.below(20)
    if (what === 0 && caller.client) {
      await cut(caller.client)
      hear(caller)
      await enter(caller)
    } else if (what < 10) caller.client?.send({ type: 'say', data: n })
    else if (what < 18) caller.client?.send({ type: 'signal', to: other.id, data: n })
    else caller.client?.send({ type: 'ping' })
    for (const one of callers) hear(one)
    await fault()
    await pause(random.below(30))
  }
  await ending?.end()
  for (const caller of callers) {
    await caller.client?.settle()
    hear(caller)
  }
  expect(callers.flatMap(({ complaints }) => complaints)).toEqual([])
  for (const count of Object.values(tally)) expect(count).toBeGreaterThan(0)
  for (const { client } of callers) client?.socket.terminate()
})
