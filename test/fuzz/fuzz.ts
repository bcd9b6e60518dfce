// Sends the requests of a seed, and gathers what must not have been answered.
import { sendRaw } from '../helpers/raw-request.ts'
import { curlOf } from './curl.ts'
import { createJudge } from './judge.ts'
import type { MadeRequest } from './made.ts'
import { makeRequest } from './make-request.ts'
import { sendSocket } from './web-socket.ts'
import type { World } from './world.ts'

const AT_ONCE = 24
const MOST_FAULTS = 20

export interface Fault {
  readonly seed: number
  readonly index: number
  readonly what: string
  readonly curl: string
}

export interface FuzzOptions {
  readonly seed: number
  /** The first number, and how many. */
  readonly from: number
  readonly count: number
  readonly atOnce?: number
}

export interface Found {
  readonly faults: Fault[]
  /** How many were answered with each status; 0 is none. */
  readonly statuses: Record<number, number>
}

export async function fuzz(
  world: World,
  { seed, from, count, atOnce = AT_ONCE }: FuzzOptions,
): Promise<Found> {
  const judge = createJudge(world.routes)
  const found: Found = { faults: [], statuses: {} }
  const underWay = new Map<number, MadeRequest>()
  let next = from

  function note(made: MadeRequest, what: string): void {
    found.faults.push({ seed, index: made.index, what, curl: curlOf(made) })
  }
  // What nobody has caught ends a real app: here it is a fault of those that were under way.
  const onCrash = (error: unknown) => {
    for (const made of underWay.values())
      note(made, `while this was under way, nobody caught ${error instanceof Error ? error.stack : error}`)
  }
  process.on('uncaughtException', onCrash)
  process.on('unhandledRejection', onCrash)

  const send = (made: MadeRequest) =>
    made.frames ? sendSocket(world.port, made, made.frames) : sendRaw(world.port, made)

  async function one(index: number): Promise<void> {
    const made = makeRequest(seed, index, world)
    underWay.set(index, made)
    let answer = await send(made)
    // A machine that stands still looks like it; an app that hangs does so again.
    for (let again = 0; answer.status === -1 && again < 2; again++) answer = await send(made)
    underWay.delete(index)
    found.statuses[answer.status] = (found.statuses[answer.status] ?? 0) + 1
    const fault = judge(made, answer)
    if (fault) note(made, fault)
    for (const error of world.takeErrors()) note(made, `an error in the log at about this request: ${error}`)
  }

  async function work(): Promise<void> {
    while (next < from + count && found.faults.length < MOST_FAULTS) await one(next++)
  }
  try {
    await Promise.all(Array.from({ length: atOnce }, work))
  } finally {
    process.off('uncaughtException', onCrash)
    process.off('unhandledRejection', onCrash)
  }
  return found
}

export const describe = ({ seed, index, what, curl }: Fault) =>
  [
    `FAULT  ${what}`,
    `  again: npm run fuzz -- --seed ${seed} --only ${index}`,
    `  ${curl.length > 4_000 ? `${curl.slice(0, 4_000)} … (long: --only ${index} --curl prints all of it)` : curl}`,
  ].join('\n')
