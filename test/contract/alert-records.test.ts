// What is kept of alerts, in a file of ours and in a real PostgreSQL: two who decide or tell the same do it once.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDataLock } from '../../src/core/data-lock.ts'
import { createInstallation } from '../../src/core/files/installation.ts'
import type { Alert, AlertSpec } from '../../src/features/alerts/alert.ts'
import { alertMigrations, createAlertRecords } from '../../src/features/alerts/alert-records.ts'
import { commitEvaluations } from '../../src/features/alerts/commit-evaluations.ts'
import { NEW_WATCH } from '../../src/features/alerts/crossing.ts'
import {
  createDeliveryRecords,
  GIVE_UP_MS,
  LEASE_MS,
} from '../../src/features/alerts/delivery/delivery-records.ts'
import { createWebhookAddressRecords } from '../../src/features/alerts/delivery/webhook-address-records.ts'
import { parsePostgresUrl } from '../../src/lib/postgres-url.ts'
import { openLocalRecords } from '../../src/sql/local-records.ts'
import { openPostgres } from '../../src/sql/postgres.ts'
import { openPostgresRecords } from '../../src/sql/postgres-records.ts'
import type { Records } from '../../src/sql/sql.ts'
import { createClock } from '../helpers/clock.ts'
import { recordLog } from '../helpers/log.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres-server.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.close())

const migrations = [alertMigrations]
const places: Record<string, () => Promise<{ records: Records; close(): Promise<void> }>> = {
  async sqlite() {
    const dir = mkdtempSync(join(tmpdir(), 'samovar-alerts-'))
    const { log } = recordLog()
    const path = join(dir, 'records.db')
    const records = openLocalRecords({
      path,
      migrations,
      dataLock: createDataLock(undefined),
      installation: createInstallation(dir, log),
      log,
    })
    return {
      records,
      async close() {
        records.close()
        rmSync(dir, { recursive: true })
      },
    }
  },
  async postgres() {
    const target = parsePostgresUrl(postgres.url(await postgres.createDatabase()))
    if (typeof target === 'string') throw new Error(target)
    const server = openPostgres(target)
    const records = openPostgresRecords({ postgres: server, migrations, log: recordLog().log })
    return { records, close: () => server.close() }
  },
}

const spec: AlertSpec = {
  coin: 'bitcoin',
  vs: 'usd',
  when: 'above',
  value: 100.5,
  repeat: 'always',
  cooldownMs: 60_000,
  expiresAtMs: undefined,
  notify: ['telegram', 'webhook'],
}
const userId = 'telegram:42'
const webhook = { url: 'https://hooks.example.com/', secret: 'whsec_secret' }

describe.each(['sqlite', 'postgres'])('%s', (name) => {
  let place: Awaited<ReturnType<(typeof places)[string]>>
  let clock: ReturnType<typeof createClock>
  let alerts: ReturnType<typeof createAlertRecords>
  let deliveries: ReturnType<typeof createDeliveryRecords>
  beforeEach(async () => {
    place = await (places[name] as (typeof places)[string])()
    clock = createClock(1_800_000_000_000)
    const parts = { records: place.records, now: clock.now }
    alerts = createAlertRecords(parts)
    deliveries = createDeliveryRecords(parts)
    await createWebhookAddressRecords(parts).set(userId, webhook)
  })
  afterEach(() => place.close())

  const make = () => alerts.create({ userId, language: 'ru', spec, watch: { ...NEW_WATCH, armed: true } })
  const ring = (...some: Alert[]) =>
    commitEvaluations({
      records: place.records,
      evaluated: some.map((alert) => ({
        alert,
        watch: { armed: false, referencePrice: undefined, triggeredAtMs: clock.now() },
        trigger: { price: 101.25, asOf: '2026-11-20T08:00:00.000Z' },
      })),
      hasTelegram: true,
      nowMs: clock.now(),
    })

  const openDeliveries = async () => {
    const rows = await place.records.all(
      'SELECT crossing_id, way FROM alert_deliveries WHERE ended_at IS NULL',
    )
    return rows.map(({ crossing_id, way }) => `${crossing_id} ${way}`).sort()
  }

  test('an alert is read as it was made, and changed by one of two at once', async () => {
    const made = (await make()) as Alert
    expect(made).toMatchObject({
      ...spec,
      userId,
      language: 'ru',
      status: 'open',
      triggerCount: 0,
      version: 1,
    })
    expect(await alerts.list(userId)).toEqual([made])
    const change = (value: number) =>
      alerts.change(made, { spec: { ...spec, value }, status: 'paused', watch: NEW_WATCH })
    const changed = await Promise.all([change(1), change(2)])
    expect(changed.filter(Boolean)).toHaveLength(1)
    expect(await alerts.open()).toEqual([])
    expect([await alerts.remove('telegram:7', made.id), await alerts.remove(userId, made.id)]).toEqual([
      false,
      true,
    ])
  })

  test('a hundred at most, made at once', async () => {
    const made = await Promise.all(Array.from({ length: 105 }, make))
    expect(made.filter(Boolean)).toHaveLength(100)
  })

  test('a crossing is decided once by two who look at the same alerts', async () => {
    const some = [(await make()) as Alert, (await make()) as Alert]
    await Promise.all([ring(...some), ring(...some), ring(...some)])
    const open = await openDeliveries()
    expect(open).toEqual(
      some.flatMap(({ id }) => ['page', 'telegram', 'webhook'].map((way) => `alert:${id}:1 ${way}`)).sort(),
    )
    expect((await alerts.find(userId, (some[0] as Alert).id))?.triggerCount).toBe(1)
  })

  const crossings = (count: number) =>
    place.records.transaction(async (tx) => {
      for (let i = 0; i < count; i += 1) {
        const told = JSON.stringify({ coin: 'bitcoin', vs: 'usd', when: 'above', value: 1, price: 2 })
        const insert = "INSERT INTO alert_crossings VALUES (?, 'a', ?, 'en', ?, ?)"
        tx.run(insert, `alert:a:${i}`, userId, told, clock.now())
        const deliver = "INSERT INTO alert_deliveries VALUES (?, 'page', 1, ?, '', 0, ?, 'sent')"
        tx.run(deliver, `alert:a:${i}`, clock.now(), clock.now())
      }
    })

  test('who has had 500 rings in a day gets more the day after, but for alerts that ring once', async () => {
    const always = await make()
    const once = await alerts.create({
      userId,
      language: 'ru',
      spec: { ...spec, repeat: 'once' },
      watch: NEW_WATCH,
    })
    const other = await alerts.create({ userId: 'telegram:7', language: 'ru', spec, watch: NEW_WATCH })
    const open = async () => (await alerts.open()).map(({ id }) => id)
    const all = [always, once, other].map((alert) => alert?.id)
    await crossings(499)
    expect(new Set(await open())).toEqual(new Set(all))
    await ring(always as Alert)
    expect(new Set(await open())).toEqual(new Set(all.slice(1)))
    clock.turn(24 * 3_600_000)
    expect(new Set(await open())).toEqual(new Set(all))
  })

  test('crossings are forgotten after 30 days, a thousand at a time', async () => {
    const left = async () =>
      Promise.all(
        ['alert_crossings', 'alert_deliveries'].map(async (table) =>
          Number((await place.records.all(`SELECT COUNT(*) AS n FROM ${table}`))[0]?.n),
        ),
      )
    await crossings(1_200)
    clock.turn(30 * 24 * 3_600_000)
    await deliveries.prune()
    expect(await left()).toEqual([1_200, 1_200])
    clock.turn(1)
    await deliveries.prune()
    expect(await left()).toEqual([200, 200])
    await deliveries.prune()
    expect(await left()).toEqual([0, 0])
  })

  test('a delivery has one owner at a time, and one end', async () => {
    const { id } = (await make()) as Alert
    await ring((await alerts.find(userId, id)) as Alert)
    const crossing = `alert:${id}:1`
    const claims = await Promise.all([1, 2, 3].map(() => deliveries.claim('webhook')))
    const [claimed, ...others] = claims.filter((one) => one !== undefined)
    expect(others).toEqual([])
    expect(claimed).toMatchObject({ userId, webhook, tries: 1, crossing: { price: 101.25, value: 100.5 } })
    clock.turn(LEASE_MS)
    const again = await deliveries.claim('webhook')
    if (!again || !claimed) throw new Error('nobody has it')
    await deliveries.end(claimed, 'by the one whose lease had ended', { blocks: false })
    await deliveries.putOff(again, clock.now() + 5_000)
    expect(await deliveries.claim('webhook')).toBeUndefined()
    expect(await deliveries.due()).toMatchObject({ nextAtMs: clock.now() + 5_000 })
    clock.turn(5_000)
    const last = await deliveries.claim('webhook')
    if (!last) throw new Error('nobody has it')
    await deliveries.end(last, 'sent', { blocks: true })
    expect(await deliveries.claim('webhook')).toBeUndefined()
    expect(await openDeliveries()).toEqual([`${crossing} page`, `${crossing} telegram`])
    expect((await alerts.find(userId, id))?.status).toBe('blocked')
    clock.turn(GIVE_UP_MS)
    await deliveries.prune()
    expect(await openDeliveries()).toEqual([])
    expect((await deliveries.lastOf(userId))[0]).toMatchObject({
      id: crossing,
      text: 'bitcoin выше 100,5 USD: 101,25 USD',
      deliveries: { webhook: 'sent', telegram: 'too_late', page: 'too_late' },
    })
  })
})
