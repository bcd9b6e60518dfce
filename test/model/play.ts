// Plays one seed: random operations, faults and clock steps on the stores as the app wires them, each answer held
// against the model. The first answer that is not allowed ends it.
import type { NetworkFault } from '../helpers/fault-proxy.ts'
import { createRandom } from '../helpers/random.ts'
import type { RedisCopier, RedisCopy } from '../helpers/redis-copy.ts'
import { beginVirtualTime } from '../helpers/virtual-time.ts'
import { killAndReopen, type Life, type ModelApp, type Parts, startModelApp } from './app.ts'
import { createModel } from './model.ts'
import { areApart, createQuestions, LIMIT, type Question, tagsOf } from './questions.ts'
import { repeat } from './seeds.ts'

const HOUR_MS = 3_600_000
const AHEAD_MS = 12 * HOUR_MS // of the server's clock, so that it ends nothing when ours is set back
const SHOWN = 60 // steps before the one that failed
const FAULTS = ['drop', 'refuse', 'hang', 'late', 'late'] as const

export interface Play {
  seed: number
  steps: number
  redisPort: number
  copier: RedisCopier
  /** How many times the process is killed in the middle. */
  kills?: number
  parts?: Parts
}

/** What a broken store answered. */
export class Violation extends Error {
  readonly question: string

  constructor(question: string, answer: unknown, allowed: readonly unknown[]) {
    super(`${question}: answered ${answer}, allowed ${allowed.join(' or ') || 'nothing'}`)
    this.question = question
  }
}

/** How many outages there were; rejects with a Violation. Odd seeds play an app that is the only one, as by default. */
export async function play({ seed, steps, redisPort, copier, kills = 0, parts = {} }: Play): Promise<number> {
  const life: Life = { redisPort, parts, workers: seed % 2 === 1 ? 1 : 2 }
  const random = createRandom(seed)
  const model = createModel(tagsOf)
  const killedAt = new Set(Array.from({ length: kills }, () => 20 + random.below(steps - 40)))
  const history: string[] = []
  await copier.restore([])
  let app: ModelApp
  const time = beginVirtualTime({
    traffic: () => app.proxy.traffic(),
    startMs: Date.now() + AHEAD_MS,
    random: createRandom(-seed),
  })
  let fault: NetworkFault = 'none'
  let outages = 0
  let driftMs = 0 // of the wall clock, by its steps
  let older: RedisCopy = []
  let step = 0

  const questions = createQuestions({ random, model, app: () => app, step: () => step })

  function note(text: string): void {
    history.push(`${step} ${text}`)
  }

  /** One, or some of one moment whose order does not matter. */
  function choose(): Question[] {
    const chosen = [questions.next()]
    for (let more = random.chance(0.2) ? 2 : 0; more > 0; more -= 1) {
      const other = questions.next()
      if (chosen.every((question) => areApart(question, other))) chosen.push(other)
    }
    return chosen
  }

  async function ask(asked: readonly Question[]): Promise<void> {
    const servedBefore = app.servedCalls()
    const wasAsked = app.roles.state.status().status === 'redis'
    const answers = await time.finish(
      Promise.all(asked.map((question) => question.ask().catch((error) => `failed: ${error}`))),
    )
    // Answered by one of the two alone; when Redis was asked and memory answered, Redis may have done it too.
    const isCertain = !wasAsked || app.servedCalls() === servedBefore
    for (const [i, { text, allowed }] of asked.entries()) {
      const answer = answers[i]
      const may = allowed(answer, isCertain)
      note(`${text} → ${answer} ${app.isIn('redis') ? '' : '(away)'}`)
      if (!may.includes(answer)) throw new Violation(text, answer, may)
    }
  }

  async function untilBack(): Promise<void> {
    await time.until('redis', () => app.isIn('redis') && app.roles.state.coverage() === 'full')
  }

  function breakNetwork(): void {
    const chosen = random.pick(FAULTS)
    note(`network: ${chosen}`)
    outages += 1
    if (chosen === 'drop') app.proxy.drop()
    else app.proxy.set(chosen)
    fault = chosen === 'drop' ? 'none' : chosen
  }

  async function mendNetwork(): Promise<void> {
    const change = random.pick(['none', 'none', 'emptied', 'set back'])
    if (change !== 'none') {
      await time.until('memory', () => app.isIn('memory'))
      await copier.restore(change === 'set back' ? older : [])
      app.proxy.forgetSwallowed() // no connection outlives the server that it was to
      note(`Redis is ${change}`)
    }
    const swallowed = random.pick(['never', 'at once', 'afterwards'])
    note(`network: mended; what it swallowed arrives ${swallowed}`)
    fault = 'none'
    app.proxy.set('none')
    if (swallowed === 'at once') await app.proxy.deliverSwallowed()
    if (swallowed !== 'never' || random.chance(0.7)) await untilBack()
    if (swallowed === 'afterwards') await app.proxy.deliverSwallowed()
  }

  async function kill(): Promise<void> {
    if (fault !== 'none') await time.until('memory', () => app.isIn('memory'))
    else await untilBack()
    note('kill -9')
    app = await killAndReopen(app, life)
    app.proxy.set(fault)
    app.start()
    if (fault === 'none') await untilBack()
    // Limiter logs are not copied to disk, and Redis ends them by its own clock, which is not the one we turn.
    model.doubt(() => true)
  }

  /** A process that was not there and has no files finds all of it in Redis. */
  async function askStranger(): Promise<void> {
    fault = 'none'
    app.proxy.set('none')
    await untilBack()
    await app.close()
    note('a stranger')
    app = await startModelApp(life)
    app.start()
    await untilBack()
    for (const question of questions.everything()) await ask([question])
  }

  function turnClock(): void {
    const byMs = random.below(2 * HOUR_MS) * (driftMs > 0 ? -1 : 1)
    driftMs += byMs
    note(`clock ${byMs}`)
    const hasLeft = (atMs: number) => atMs <= Date.now() - LIMIT.windowMs
    model.doubt(hasLeft)
    time.stepClock(byMs)
    model.doubt(hasLeft)
  }

  async function takeStep(): Promise<void> {
    if (killedAt.has(step)) await kill()
    const dice = random.below(1_000)
    if (dice < 15) turnClock()
    else if (dice < 35) await time.pass(random.below(3_000))
    else if (dice < 55 && fault === 'none') breakNetwork()
    else if (dice < 65 && fault === 'none') older = await copier.copy()
    else if (dice < 100 && fault !== 'none') await mendNetwork()
    else await ask(choose())
  }

  app = await startModelApp(life)
  try {
    app.start()
    await untilBack()
    for (step = 0; step < steps; step += 1) await takeStep()
    await askStranger()
    return outages
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const last = history.slice(-SHOWN).join('\n')
    error.message = `${repeat(seed)}, step ${step}: ${error.message}\n${last}`
    throw error
  } finally {
    time.end()
    await app.close()
  }
}
