// A redeploy under load: two containers on one /data, clients through both, and a ledger of what they were told. The
// short form is one of each; `npm run test:long -- redeploy` plays five seeds at a quarter of a core and at a whole
// one.
import { setTimeout as sleep } from 'node:timers/promises'
import { boot, bootReady, createVolume, removeAll, type Samovar, until } from '../helpers/image.ts'
import { createRandom } from '../helpers/random.ts'
import { createLedger, ledgerEnv, type Verdict } from '../helpers/redeploy-ledger.ts'

// Given by hand: an image of the release before, which lets go when it is asked, and goes on acknowledging.
const { SAMOVAR_SEEDS, SAMOVAR_FIRST_SEED = '1', SAMOVAR_IMAGE_BEFORE } = process.env
const CPUS = SAMOVAR_SEEDS ? [0.25, 1] : [1]
const SEEDS = Array.from({ length: Number(SAMOVAR_SEEDS ?? 1) }, (_, i) => Number(SAMOVAR_FIRST_SEED) + i)
/** Changes are refused no longer, by the control clock; judged in the long form, which wants a quiet machine. */
const MOST_REFUSED_MS = SAMOVAR_SEEDS ? 2_000 : 20_000
/** Answers of a container that has just begun are slow as well. No promise: what takes longer has hung. */
const MOST_GAP_MS = 20_000

afterAll(removeAll)

const word = (samovar: Samovar) => samovar.exec('cat /run/samovar/data')
const untilWord = (samovar: Samovar, wanted: string) =>
  until(`${wanted}`, async () => (await word(samovar)) === wanted)
const isReady = async (samovar: Samovar) => (await samovar.get('/readyz')).status === 200

/** The deliveries in the records of the container, each as often as it is there. */
async function handled(samovar: Samovar): Promise<string[]> {
  const script = `const { DatabaseSync } = require('node:sqlite');
    const records = new DatabaseSync('/data/records.db', { readOnly: true });
    console.log(records.prepare('SELECT id FROM webhook_deliveries').all().map(({ id }) => id).join(' '))`
  const said = await samovar.exec(`node --disable-warning=ExperimentalWarning -e "${script}"`)
  return said.split(' ').filter(Boolean)
}

type Play = (round: Round) => Promise<Samovar>

/** Zero of everything, but where the older release is asked to do what it cannot. */
async function play(seed: number, cpus: number, run: Play): Promise<Verdict> {
  const verdict = await measure(seed, cpus, {}, run)
  expect(verdict).toMatchObject({ lost: 0, undone: 0, webhooks: 0, burned: 0, odd: [] })
  return verdict
}

async function measure(seed: number, cpus: number, of: { old?: string; young?: string }, run: Play) {
  const random = createRandom(seed)
  const options = { env: ledgerEnv, volume: await createVolume(), cpus, memoryMb: 512 }
  const old = await bootReady({ ...options, ...(of.old && { image: of.old }) })
  const ledger = createLedger(seed)
  ledger.open(old)
  const stop = await ledger.run(3)
  const more = async (count: number) => {
    const before = ledger.acknowledgedSoFar()
    await until(`${count} more acknowledged`, async () => ledger.acknowledgedSoFar() > before + count)
  }
  await more(10)
  const stays = await run({
    old,
    ledger,
    more,
    random,
    bootYoung: () => boot({ ...options, ...(of.young && { image: of.young }) }),
  })
  await stop()
  const verdict = await ledger.judge(stays, await handled(stays))
  process.stderr.write(`redeploy: seed ${seed}, ${cpus} CPU: ${JSON.stringify(verdict)}\n`)
  await Promise.all([old.remove().catch(() => {}), stays === old ? undefined : stays.remove()])
  return verdict
}

interface Round {
  old: Samovar
  ledger: ReturnType<typeof createLedger>
  more(count: number): Promise<void>
  random: ReturnType<typeof createRandom>
  bootYoung(): Promise<Samovar>
}

describe.each(CPUS)('at %d CPU', (cpus) => {
  test.each(SEEDS)('a redeploy as platforms do it, seed %d', async (seed) => {
    const { refused, refusedMs, longestGapMs } = await play(
      seed,
      cpus,
      async ({ old, ledger, more, bootYoung }) => {
        const young = await bootYoung()
        ledger.open(young)
        await until('the newcomer is ready', () => isReady(young))
        expect([await word(old), await isReady(old)]).toEqual(['released', false])
        await more(10) // through both doors: the old one refuses
        ledger.shut(old)
        await old.stop()
        await more(10)
        await young.status('redis')
        expect(await word(young)).toBe('held')
        return young
      },
    )
    expect(refused).toBeGreaterThan(0)
    expect(refusedMs).toBeLessThan(MOST_REFUSED_MS)
    expect(longestGapMs).toBeLessThan(MOST_GAP_MS)
  })

  test.each(SEEDS)(
    'the newcomer is killed at some moment, seed %d: the old one goes on, or takes it back',
    async (seed) => {
      await play(seed, cpus, async ({ old, ledger, more, random, bootYoung }) => {
        const young = await bootYoung()
        const moment = ['waiting', 'leaving', 'draining', 'released'][random.below(4)]
        ledger.open(young)
        // The words of a hand-over last some milliseconds: near enough.
        await until(
          'the moment',
          async () => moment === 'waiting' || (await word(old)) !== 'held',
          undefined,
          5,
        )
        if (moment === 'released') await untilWord(old, 'released')
        await sleep(random.below(moment === 'waiting' ? 3000 : 300))
        ledger.shut(young)
        await young.kill()
        await until('the old one has it', async () => (await word(old)) === 'held' && (await isReady(old)))
        await more(10)
        await old.status('redis')
        return old
      })
    },
  )

  test.each(SEEDS)('the old one is killed or stopped at some moment, seed %d', async (seed) => {
    await play(seed, cpus, async ({ old, ledger, more, random, bootYoung }) => {
      const young = await bootYoung()
      await sleep(random.below(cpus < 1 ? 20_000 : 6_000))
      ledger.shut(old)
      await (random.chance(0.5) ? old.stop() : old.kill())
      ledger.open(young)
      await until('the newcomer is ready', () => isReady(young))
      await more(10)
      await young.status('redis')
      return young
    })
  })
})

if (!SAMOVAR_IMAGE_BEFORE)
  console.warn('not run with the release before: SAMOVAR_IMAGE_BEFORE names no image of it')
const withBefore = SAMOVAR_IMAGE_BEFORE ? describe.each(CPUS) : describe.skip.each(CPUS)
withBefore('with the release before, at %d CPU', (cpus) => {
  test.each(SEEDS)(
    'it is the old one, seed %d: what it acknowledges after it has let go is lost',
    async (seed) => {
      const { webhooks } = await measure(
        seed,
        cpus,
        { old: SAMOVAR_IMAGE_BEFORE as string },
        async (round) => {
          const { old, ledger, more, bootYoung } = round
          const young = await bootYoung()
          ledger.open(young)
          await until('the newcomer is ready', () => isReady(young))
          ledger.shut(old)
          await old.stop()
          await more(10)
          return young
        },
      )
      expect(webhooks).toBe(0)
    },
  )

  test.each(SEEDS)('it is the newcomer on newer data, seed %d', async (seed) => {
    const verdict = await measure(seed, cpus, { young: SAMOVAR_IMAGE_BEFORE as string }, async (round) => {
      const { old, ledger, more, bootYoung } = round
      const young = await bootYoung()
      await until('the older one has the data', async () => (await word(young)) === 'held')
      ledger.open(young)
      ledger.shut(old)
      await old.stop()
      await young.status('redis')
      await more(10)
      return young
    })
    expect(verdict).toMatchObject({ lost: 0, undone: 0, webhooks: 0 })
  })
})
