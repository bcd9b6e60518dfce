// A thousand sockets in a hundred rooms: how long a message takes to everybody in its room, and what a socket costs in
// memory, beside Socket.IO with the same sockets and the same talk.
import type { CallOrder, TalkOutcome } from './call-load.ts'
import type { OwnMemory } from './own-memory.ts'
import { cpuMs, type Processes, type Script } from './processes.ts'
import { type Benchmark, formatCount, formatMs, type Report } from './report.ts'
import { formatRatio, median } from './statistics.ts'

const SOCKETS = 1_000
const ROOMS = 100
const EVERY_MS = 200
const ROUND_MS = 4_000
const ROUNDS = 5

interface Contender {
  readonly name: string
  readonly speaks: 'samovar' | 'socket.io'
  readonly server: Script
  readonly load: Script
}

interface Round extends TalkOutcome {
  /** CPU of the server for each message that was heard. */
  readonly cpuMs: number
}

export const calls: Benchmark = {
  summary: 'a thousand sockets in a hundred rooms, beside Socket.IO 4: fan-out and memory',
  async run(processes) {
    const contenders = await start(processes)
    const memory: { resident: number; heap: number }[] = []
    for (const contender of contenders) memory.push(await openSockets(contender))
    const rounds: Round[][] = contenders.map(() => [])
    for (let round = -1; round < ROUNDS; round += 1) {
      for (const [i, contender] of contenders.entries()) {
        const outcome = await talk(contender)
        if (round >= 0) rounds[i]?.push(outcome)
      }
    }
    return [report(contenders, memory, rounds)]
  },
}

async function start(processes: Processes): Promise<Contender[]> {
  const cache = await processes.startRedis()
  const state = await processes.startRedis('--appendonly', 'yes')
  const redis = { REDIS_CACHE: cache.url, REDIS_STATE: state.socketUrl }
  const contender = async (
    name: string,
    speaks: Contender['speaks'],
    path: string,
    env: Record<string, string> = {},
  ) => ({
    name,
    speaks,
    server: await processes.startScript(path, env),
    load: await processes.startScript('bench/call-load.ts'),
  })
  return [
    await contender('Samovar, in memory', 'samovar', 'bench/calls-server.ts'),
    await contender('Samovar, over Redis', 'samovar', 'bench/calls-server.ts', redis),
    await contender('Socket.IO 4, in memory', 'socket.io', 'bench/peers/socket-io.ts'),
  ]
}

async function openSockets({ server, load, speaks }: Contender) {
  const ask = (order: CallOrder) => load.ask<number>(order)
  // Once for the code, so that what is counted is the sockets.
  await ask({ do: 'open', speaks, port: server.port, sockets: ROOMS, rooms: ROOMS / 10 })
  await ask({ do: 'close' })
  const before = await server.ask<OwnMemory>({})
  await ask({ do: 'open', speaks, port: server.port, sockets: SOCKETS, rooms: ROOMS })
  const after = await server.ask<OwnMemory>({})
  return {
    resident: (after.residentBytes - before.residentBytes) / SOCKETS,
    heap: (after.heapBytes - before.heapBytes) / SOCKETS,
  }
}

async function talk({ server, load }: Contender): Promise<Round> {
  const before = cpuMs(server.pid)
  const outcome = await load.ask<TalkOutcome>({ do: 'talk', everyMs: EVERY_MS, forMs: ROUND_MS })
  return { ...outcome, cpuMs: (cpuMs(server.pid) - before) / outcome.heard }
}

function report(
  contenders: readonly Contender[],
  memory: readonly { resident: number; heap: number }[],
  rounds: readonly Round[][],
): Report {
  const column = (i: number, name: keyof Round) => rounds[i]!.map((round) => round[name])
  const peer = contenders.findIndex(({ speaks }) => speaks === 'socket.io')
  const kb = (bytes: number) => `${formatCount(bytes / 1024)} KiB`
  return {
    title: `${SOCKETS} sockets in ${ROOMS} rooms, ${formatCount((ROOMS * 1_000) / EVERY_MS)} messages/s to ten each`,
    columns: [
      '',
      'arrived',
      'p50',
      'p99',
      'p99 ÷ Socket.IO (min–max)',
      'server CPU a delivery',
      'CPU ÷ Socket.IO (min–max)',
      'memory a socket (RSS)',
      'of it heap and buffers',
    ],
    rows: contenders.map(({ name }, i) => [
      name,
      arrived(rounds[i]!),
      formatMs(median(column(i, 'p50Ms'))),
      formatMs(median(column(i, 'p99Ms'))),
      formatRatio(column(i, 'p99Ms'), column(peer, 'p99Ms')),
      formatMs(median(column(i, 'cpuMs'))),
      formatRatio(column(i, 'cpuMs'), column(peer, 'cpuMs')),
      kb(memory[i]!.resident),
      kb(memory[i]!.heap),
    ]),
    note:
      `${ROUNDS} rounds of ${ROUND_MS / 1_000} s, the servers in turn; medians of the rounds; from sending to each ` +
      'of the ten ears, within 5 s. The clients are bare sockets for both. The ratios hold on other machines.',
  }
}

/** All of them, or how many are missing: without an outage none may be. */
function arrived(rounds: readonly Round[]): string {
  const missing = rounds.reduce((sum, { heard, expected }) => sum + expected - heard, 0)
  return missing === 0 ? 'all' : `all but ${missing}`
}
