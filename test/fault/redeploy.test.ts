// The hand-over of /data from one container to the next, with the guard of the image and the app as processes: what
// either acknowledges holds in the one that stays. With Redis and containers: test/image/redeploy.test.ts.
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import { createLedger, type Door, ledgerEnv } from '../helpers/redeploy-ledger.ts'
import { makeVolume, removeVolumes, startOnVolume, type VolumeProcess } from '../helpers/volume-process.ts'

afterEach(removeVolumes)

const start = (volume: string, options: { app?: boolean } = {}) =>
  startOnVolume(volume, { ...options, env: ledgerEnv })
const doorOf = ({ url }: VolumeProcess): Door => ({ get: (path, init) => fetch(url + path, init) })

function handled(volume: string): string[] {
  const records = new DatabaseSync(join(volume, 'records.db'), { readOnly: true })
  try {
    return records
      .prepare('SELECT id FROM webhook_deliveries')
      .all()
      .map(({ id }) => String(id))
  } finally {
    records.close()
  }
}

const ready = async ({ url }: VolumeProcess) => {
  const response = await fetch(`${url}/readyz`)
  return [response.status, ((await response.json()) as { data?: string }).data]
}

/** Clients of an old container; returns what a test needs to bring others, and to judge. */
async function underLoad(seed: number) {
  const volume = makeVolume()
  const old = await start(volume)
  const ledger = createLedger(seed)
  const oldDoor = doorOf(old)
  ledger.open(oldDoor)
  const stop = await ledger.run()
  const more = async (count: number) => {
    const before = ledger.acknowledgedSoFar()
    await eventually(() => expect(ledger.acknowledgedSoFar()).toBeGreaterThan(before + count))
  }
  await more(20)
  return {
    volume,
    old,
    oldDoor,
    ledger,
    more,
    async expectNothingWrong(stays: VolumeProcess) {
      await stop()
      const verdict = await ledger.judge(doorOf(stays), handled(volume))
      expect(verdict).toMatchObject({ lost: 0, undone: 0, webhooks: 0, burned: 0, odd: [] })
      return verdict
    },
  }
}

test('a newcomer takes over under load: nothing that either has acknowledged is lost, undone or handled twice', async () => {
  const { volume, old, oldDoor, ledger, more, expectNothingWrong } = await underLoad(1)
  const young = await start(volume)
  ledger.open(doorOf(young))
  await young.untilWord('held')
  await eventually(async () => expect(await ready(young)).toEqual([200, undefined]))
  expect(old.word()).toBe('released')
  expect(await ready(old)).toEqual([503, 'handing_over'])
  await more(20) // through both doors: the old one refuses all
  ledger.shut(oldDoor)
  await more(20)
  expect((await fetch(`${old.url}/api/countries`)).status).toBe(200)
  const { refused } = await expectNothingWrong(young)
  expect(refused).toBeGreaterThan(0)
})

test('a newcomer that never listens does not ask: the holder takes changes all the while', async () => {
  const { volume, old, more, expectNothingWrong } = await underLoad(2)
  const young = await start(volume, { app: false })
  await young.untilWord('waiting')
  await sleep(1_000)
  await more(20)
  expect([old.word(), young.word()]).toEqual(['held', 'waiting'])
  expect((await expectNothingWrong(old)).refused).toBe(0)
})

test('the newcomer dies when it has the lock: the old one takes it back, with what the newcomer acknowledged', async () => {
  const { volume, old, ledger, more, expectNothingWrong } = await underLoad(3)
  const young = await start(volume)
  const youngDoor = doorOf(young)
  ledger.open(youngDoor)
  await young.untilWord('held')
  await more(20)
  young.kill()
  ledger.shut(youngDoor)
  await old.untilWord('held')
  await more(20)
  expect(await ready(old)).toEqual([200, undefined])
  await expectNothingWrong(old)
})

test('the newcomer dies while the old one lets go: the old one takes changes again', async () => {
  const { volume, old, more, expectNothingWrong } = await underLoad(4)
  const young = await start(volume)
  await eventually(() => expect(['draining', 'released']).toContain(old.word()), 60_000, 1)
  young.kill()
  await old.untilWord('held')
  await more(20)
  await expectNothingWrong(old)
})

test('the newcomer is frozen when it should take the lock: the old one does not wait for it', async () => {
  const { volume, old, more, expectNothingWrong } = await underLoad(5)
  const young = await start(volume)
  await eventually(() => expect(['leaving', 'draining', 'released']).toContain(old.word()), 60_000, 1)
  young.signalGuard('SIGSTOP')
  await eventually(() => expect(young.word() === 'held' || old.log().includes('does not take it')).toBe(true))
  if (young.word() !== 'held') await more(20)
  young.signalGuard('SIGCONT')
  await young.untilWord('held')
  await expectNothingWrong(young)
})

test('guard or app of the old one dies while it lets go, or all of it: the newcomer takes over', async () => {
  for (const [seed, die] of [
    (old: VolumeProcess) => old.killGuard(),
    (old: VolumeProcess) => void old.killApp(),
    (old: VolumeProcess) => old.kill(),
  ].entries()) {
    const { volume, old, oldDoor, ledger, more, expectNothingWrong } = await underLoad(6 + seed)
    const young = await start(volume)
    await eventually(() => expect(['leaving', 'draining']).toContain(old.word()), 60_000, 1)
    die(old)
    ledger.shut(oldDoor)
    ledger.open(doorOf(young))
    await young.untilWord('held')
    await more(20)
    await expectNothingWrong(young)
    removeVolumes()
  }
})

test('the old one is stopped before it is asked: the newcomer has the lock without being ready', async () => {
  const { volume, old, oldDoor, ledger, more, expectNothingWrong } = await underLoad(9)
  const young = await start(volume, { app: false })
  await old.stop()
  ledger.shut(oldDoor)
  await young.untilWord('held')
  await young.startApp()
  ledger.open(doorOf(young))
  await more(20)
  await expectNothingWrong(young)
})

test('three on one volume: two wait, one has it, and what is let go goes to one of those that are ready', async () => {
  const { volume, old, oldDoor, ledger, more, expectNothingWrong } = await underLoad(10)
  const second = await start(volume)
  ledger.open(doorOf(second))
  await second.untilWord('held')
  const third = await start(volume)
  ledger.open(doorOf(third))
  await third.untilWord('held')
  expect([old.word(), second.word()]).toEqual(['released', 'released'])
  ledger.shut(oldDoor)
  await more(20)
  await expectNothingWrong(third)
})
