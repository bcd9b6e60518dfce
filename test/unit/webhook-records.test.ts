// How long what is kept of webhooks is kept.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDataLock } from '../../src/core/data-lock.ts'
import { createInstallation } from '../../src/core/files/installation.ts'
import {
  type Delivery,
  findDone,
  keepDelivery,
  lastDeliveries,
  markDone,
  webhookMigrations,
} from '../../src/features/webhooks/webhook-records.ts'
import { DAY } from '../../src/lib/time.ts'
import { type LocalRecords, openLocalRecords } from '../../src/sql/local-records.ts'
import { recordLog } from '../helpers/log.ts'

let dir: string
let records: LocalRecords
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'samovar-records-'))
  const { log } = recordLog()
  const dataLock = createDataLock(undefined)
  records = openLocalRecords({
    path: join(dir, 'records.db'),
    migrations: [webhookMigrations],
    dataLock,
    installation: createInstallation(dir, log),
    log,
  })
})
afterEach(() => {
  records.close()
  rmSync(dir, { recursive: true })
})

const delivery = (id: string, source = 'payments'): Delivery => ({
  source,
  id,
  contentType: undefined,
  headers: {},
  body: Buffer.from('{}'),
  receivedAtMs: 0,
})

test('of each source the last thousand deliveries, and the admin is shown fifty', async () => {
  await records.transaction(async (tx) => {
    keepDelivery(tx, delivery('a', 'other'))
    for (let i = 0; i < 1_005; i += 1) keepDelivery(tx, delivery(`msg_${i}`))
  })
  const kept = await records.all('SELECT source, id FROM webhook_deliveries ORDER BY number')
  expect(kept).toHaveLength(1_001)
  expect(kept.slice(0, 2)).toEqual([
    { source: 'other', id: 'a' },
    { source: 'payments', id: 'msg_5' },
  ])
  const shown = (await lastDeliveries(records, 'payments')).map(({ id }) => id)
  expect([shown.length, shown[0]]).toEqual([50, 'msg_1004'])
})

test('what is done is known for five days, with its answer', async () => {
  const done = { by: 'run', fingerprint: 'f', answer: Buffer.from('{"текст":1}') }
  const mark = (id: string, nowMs: number) =>
    records.transaction(async (tx) => markDone(tx, delivery(id), done, nowMs))
  await mark('first', 0)
  await mark('second', 5 * DAY)
  expect(await findDone(records, delivery('first'))).toEqual(done)
  await mark('third', 5 * DAY + 1)
  expect(await findDone(records, delivery('first'))).toBeUndefined()
  expect(await findDone(records, delivery('second'))).toEqual(done)
  expect(await findDone(records, delivery('second', 'other'))).toBeUndefined()
  await expect(mark('second', 5 * DAY + 2)).rejects.toThrow('UNIQUE')
})
