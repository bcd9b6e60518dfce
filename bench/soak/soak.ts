// One run: opens the stage, lets the clients loose, breaks things by the plan, checks, and says what it found.
import { writeFileSync } from 'node:fs'
import { pause } from '../../src/lib/time.ts'
import { removeAll } from '../../test/helpers/image.ts'
import { recovered } from '../../test/helpers/image-state.ts'
import { createRandom, type Random } from '../../test/helpers/random.ts'
import { createCaller } from './caller.ts'
import { createCheck } from './check.ts'
import { createGreedy } from './clients/greedy.ts'
import { createPeople } from './clients/people.ts'
import { createReaders } from './clients/readers.ts'
import { createSenders } from './clients/senders.ts'
import { startControls } from './controls.ts'
import { startMarket } from './fake-market.ts'
import { faultsFor } from './faults.ts'
import { growthOf, judgeGrowth, type Sample } from './growth.ts'
import { isRunning, sample } from './inside.ts'
import { createLedger } from './ledger.ts'
import { BadOptions, type Options } from './options.ts'
import { planFaults } from './plan.ts'
import { plant } from './plants.ts'
import { openStage } from './stage.ts'
import { type DoneFault, faultLine, formatSummary } from './summary.ts'

const PEOPLE = 40
const SAMPLE_EVERY_MS = 5_000
const CHECK_EVERY_MS = 30_000
const JUDGE_EVERY_MS = 5_000
const TELL_EVERY_MS = 15_000
const PLANT_AT_MS = 15_000
const BACK_WITHIN_MS = 90_000
const BUGS = /unexpected error|a bug in work|uncaughtException/i

/** Whether nothing was wrong. `say` is given lines of progress. */
export async function soak(options: Options, say: (line: string) => void): Promise<boolean> {
  const { seed, minutes, load } = options
  const possible = faultsFor(options)
  if (possible.length === 0)
    throw new BadOptions(`--only ${options.only}: no fault has these words in its name.`)
  const market = await startMarket()
  try {
    say(`starting a container of ${options.image} with ${options.cpus} CPU and ${options.memoryMb} MiB …`)
    const stage = await openStage(options, market)
    const startedAtMs = Date.now()
    const faults: DoneFault[] = []
    const describe = () => {
      const last = faults.at(-1)
      return last
        ? `${((Date.now() - last.atMs) / 1_000).toFixed(0)} s after: ${last.name}`
        : 'before any fault'
    }
    const ledger = createLedger(describe, ({ kind, words, after }) =>
      say(`WRONG  ${kind}: ${words}  [${after}]`),
    )
    const caller = createCaller(stage, ledger)
    const people = createPeople(ledger, caller, PEOPLE)
    const senders = createSenders(ledger, caller)
    const readers = createReaders(ledger, caller)
    const { gapBetween } = stage
    const greedy = createGreedy({ ledger, caller, people, random: createRandom(seed + 1), gapBetween })
    const check = createCheck({ ledger, people, senders, arrivals: market.arrivals })
    const controls = startControls(stage, ledger)
    const samples: Sample[] = []
    const tookMs = new Map<string, number[]>()
    let isOn = true

    let seeds = 0
    /** Does it again and again, with pauses that are so long on average. */
    async function keepOn(everyMs: number, work: (random: Random) => Promise<unknown>): Promise<void> {
      seeds += 1
      const random = createRandom(seed * 1_000 + seeds)
      while (isOn) {
        try {
          await work(random)
        } catch (error) {
          ledger.add({ kind: 'unexpected answer', words: (error as Error).stack ?? String(error) })
        }
        await pauseWhileOn(random.below(2 * everyMs))
      }
    }
    async function pauseWhileOn(ms: number): Promise<void> {
      const endMs = Date.now() + ms
      while (isOn && Date.now() < endMs) await pause(Math.min(500, Math.max(1, endMs - Date.now())))
    }

    function judgeTimes(): void {
      const calls = caller.takeCalls()
      for (const { name, startMs, endMs } of calls) {
        const times = tookMs.get(name) ?? []
        times.push(endMs - startMs)
        tookMs.set(name, times)
      }
      controls.judge(calls)
    }

    const several = (count: number, everyMs: number, work: (random: Random) => Promise<unknown>) =>
      Array.from({ length: count }, () => keepOn(everyMs / load, work))
    const clients = [
      ...several(6, 500, people.act),
      ...several(3, 600, senders.act),
      ...several(2, 500, readers.read),
      ...several(1, 250, greedy.unsigned),
      ...several(1, 2_000, greedy.link),
      ...several(1, 45_000, readers.clear),
    ]
    const watching = [
      keepOn(SAMPLE_EVERY_MS, async () => {
        const one = await sample(stage.current())
        if (one) samples.push(one)
      }),
      keepOn(CHECK_EVERY_MS, (random) => check.some(random)),
      keepOn(JUDGE_EVERY_MS, async () => judgeTimes()),
      keepOn(TELL_EVERY_MS, async () => say(progress())),
    ]

    function progress(): string {
      const calls = [...caller.outcomes.values()].flatMap((counts) => [...counts.values()])
      const logins = ledger.people.flatMap(({ logins }) => logins)
      return (
        `${((Date.now() - startedAtMs) / 60_000).toFixed(1)} of ${minutes} min: ` +
        `${calls.reduce((sum, count) => sum + count, 0)} calls, ${logins.length} logins, ` +
        `${ledger.deliveries.size} deliveries, ${faults.length} faults, wrong: ${ledger.violations.length}; ${describe()}`
      )
    }

    async function planted(): Promise<void> {
      if (options.plant === undefined) return
      await pauseWhileOn(PLANT_AT_MS)
      say(`planting: ${options.plant}`)
      await plant(options.plant, { stage, ledger, caller, people, senders, readers, samples })
    }

    async function breakThings(): Promise<void> {
      const random = createRandom(seed + 7)
      for (const { atMs, fault } of planFaults({ seed, minutes, faults: possible })) {
        await pauseWhileOn(startedAtMs + atMs - Date.now())
        if (!isOn) return
        const done = { atMs: Date.now(), name: fault.name, words: '', tookMs: 0 }
        faults.push(done)
        try {
          done.words = await fault.run(stage, random)
        } catch (error) {
          ledger.add({ kind: 'not back', words: `${fault.name}: ${(error as Error).message}` })
          if (!(await isRunning(stage.current()))) isOn = false // nothing more can be learnt
        }
        done.tookMs = Date.now() - done.atMs
        say(faultLine(startedAtMs, done))
      }
      await pauseWhileOn(startedAtMs + minutes * 60_000 - Date.now())
    }

    await Promise.all([planted(), breakThings()])
    isOn = false
    await Promise.all([...clients, ...watching])
    say('the last fault is over: waiting for Redis, then checking everything …')
    await recovered(stage.current(), BACK_WITHIN_MS).catch((error) =>
      ledger.add({ kind: 'not back', words: `Redis at the end: ${(error as Error).message}` }),
    )
    await check.all()
    judgeTimes()
    await controls.stop()
    tookMs.set('/livez', controls.livezMs).set('bare server', controls.bareMs)
    const log = await stage.log()
    if (options.logFile !== undefined) writeFileSync(options.logFile, log)
    for (const line of log.split('\n').filter((one) => BUGS.test(one)))
      ledger.add({ kind: 'bug in the log', words: line.slice(0, 300) })
    const growth = growthOf(samples)
    if (growth) for (const wrong of judgeGrowth(growth)) ledger.add(wrong)
    for (const done of faults) say(faultLine(startedAtMs, done))
    const title = `${options.cpus} CPU, ${options.memoryMb} MiB, ${minutes} minutes, seed ${seed}`
    say(formatSummary({ title, startedAtMs, ledger, outcomes: caller.outcomes, tookMs, faults, growth }))
    return ledger.violations.length === 0
  } finally {
    await removeAll()
    await market.close()
  }
}
