// What is measured during an attack: how long /livez is silent, what the container's memory grows to, and a clock that
// stands still while the control container does: a bare server under the same limits, which nobody attacks.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Container, keepOn, type Samovar } from '../helpers/image.ts'
import { ask } from './ask.ts'

const PAUSE_MS = 20
/** So much of a round of the control counts; a round that takes longer says that the machine stands still. */
const MOST_ROUND_MS = 3 * PAUSE_MS
const GIVE_UP_MS = 3_000

export interface ControlClock {
  readonly nowMs: () => number
  /** The longest round since this was last asked, by the wall clock. */
  readonly takeSlowestMs: () => number
  readonly sleep: (ms: number) => Promise<void>
  readonly stop: () => Promise<void>
}

export function clockOf(bare: Container): ControlClock {
  let elapsedMs = 0
  let beganAtMs = performance.now()
  let slowestMs = 0
  const stop = keepOn(async () => {
    await ask(`${bare.origin()}/`, { giveUpMs: GIVE_UP_MS })
    await sleep(PAUSE_MS)
    const now = performance.now()
    elapsedMs += Math.min(now - beganAtMs, MOST_ROUND_MS)
    slowestMs = Math.max(slowestMs, now - beganAtMs)
    beganAtMs = now
  })
  const nowMs = () => elapsedMs
  return {
    nowMs,
    takeSlowestMs() {
      const taken = slowestMs
      slowestMs = 0
      return taken
    },
    stop,
    async sleep(ms) {
      const untilMs = nowMs() + ms
      while (nowMs() < untilMs) await sleep(PAUSE_MS)
    },
  }
}

export interface Silence {
  /** The longest from a question until an answer, by the control clock and by the wall clock. */
  readonly longestMs: number
  readonly longestWallMs: number
}

/** The process id of the app outside of its container. */
export async function appPid({ raw }: Container): Promise<number> {
  const { Processes: rows } = (await raw.top({ ps_args: '-eo pid,args' })) as { Processes: string[][] }
  return Number(rows.find(([, command = '']) => /dist\/main\.js|^samovar/.test(command))?.[0])
}

/** How long its main thread was ready to run and others ran, ms: that is no silence of its own. 0 where none tells. */
function waitedForCpuMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1_000_000
  } catch {
    return 0 // it has ended, or the engine is on another machine
  }
}

/**
 * Asks /livez all the while. What is not answered is asked again, and the silence goes on. By the control clock; and on
 * a machine that others use as well, without the time in which the app had to wait for them.
 */
export function watchLivez(samovar: Samovar, clock: ControlClock, pid: number): { stop(): Promise<Silence> } {
  let [longestMs, longestWallMs] = [0, 0]
  let isOn = true
  const rounds = (async () => {
    while (isOn) {
      const [from, fromWall, fromWaited] = [clock.nowMs(), Date.now(), waitedForCpuMs(pid)]
      while ((await ask(`${samovar.origin()}/livez`, { giveUpMs: GIVE_UP_MS })).status !== 200 && isOn)
        await sleep(PAUSE_MS)
      const wallMs = Date.now() - fromWall
      const ownMs = wallMs - Math.max(0, waitedForCpuMs(pid) - fromWaited)
      longestMs = Math.max(longestMs, Math.min(clock.nowMs() - from, ownMs))
      longestWallMs = Math.max(longestWallMs, wallMs)
      await sleep(PAUSE_MS)
    }
  })()
  return {
    async stop() {
      isOn = false
      await rounds
      return { longestMs, longestWallMs }
    },
  }
}

export async function memoryMib({ raw }: Container): Promise<number> {
  const { memory_stats: memory } = await raw.stats({ stream: false, 'one-shot': true })
  if (memory.usage === undefined) return 0 // it has ended
  const inactive = memory.stats.total_inactive_file ?? memory.stats.inactive_file ?? 0
  return (memory.usage - inactive) / 1024 / 1024
}

/** The most that it had at any look, without what the kernel may drop. */
export function watchMemory(container: Container): { stop(): Promise<number> } {
  let mostMib = 0
  const stop = keepOn(async () => {
    mostMib = Math.max(mostMib, await memoryMib(container).catch(() => 0))
    await sleep(250)
  })
  return {
    async stop() {
      await stop()
      return mostMib
    },
  }
}

/** The app and the Redis servers, by their process ids: another one was restarted. */
export async function servers({ raw }: Container): Promise<string> {
  const { Processes: rows } = (await raw.top({ ps_args: '-eo pid,args' })) as { Processes: string[][] }
  const found = rows.filter(([, command = '']) => /redis-server|main\.js|^samovar/.test(command))
  return found
    .map(([pid]) => pid)
    .sort()
    .join(' ')
}
