// GET /api/outages: what is reported of an outage, to whom, and for how long; and what the page makes of it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readAdminToken } from '../../src/core/files/admin-token.ts'
import { lastOutage } from '../../src/features/page/last-outage.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const TOKEN = 'a-long-enough-token'
const OF_ANYBODY =
  'accepted conflicts corrupt durationMs endedAt id lost merged role servedCalls startedAt'.split(' ')
let redis: TestRedis
let dataDir: string
let app: TestApp

beforeAll(async () => {
  redis = await startRedis()
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterAll(async () => {
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})
afterEach(() => app.close())

interface Report {
  readonly id: string
  readonly role: string
  readonly startedAt: string
  readonly endedAt: string | null
  readonly [field: string]: unknown
}

async function open(env: Record<string, string> = {}): Promise<void> {
  app = await startApp({ REDIS_URL: redis.url, ...PATIENCE, DATA_DIR: dataDir, ...env })
  await app.untilStatus('redis')
}
const reports = async (init?: RequestInit) => (await (await app.get('/api/outages', init)).json()) as Report[]
const authorized = { headers: { authorization: `Bearer ${TOKEN}` } }

/** Until both roles have noticed, and both are back. */
async function breakRedis(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  await redis.kill()
  await app.untilStatus('memory')
  const open = async () => (await reports(authorized)).filter(({ endedAt }) => endedAt === null)
  await eventually(async () => expect(await open()).toHaveLength(2))
  await meanwhile()
  await redis.start()
  await app.untilStatus('redis')
}

test('anybody gets counts and times: no cause, no note, conflicts as a number', async () => {
  await open()
  expect(await reports()).toEqual([])
  expect(await (await app.get('/status')).json()).toMatchObject({ lastOutage: null })

  await breakRedis(async () => {
    for (let i = 0; i < 3; i += 1) expect((await app.get('/api/countries/DE')).status).toBe(200)
    for (const report of await reports()) expect(report).toMatchObject({ endedAt: null, durationMs: null })
    expect(await (await app.get('/status')).json()).toMatchObject({
      lastOutage: { endedAt: null, servedCalls: null },
    })
  })

  const ended = await reports()
  expect(ended.map(({ role }) => role).sort()).toEqual(['cache', 'state'])
  for (const report of ended) {
    expect(Object.keys(report).sort()).toEqual(OF_ANYBODY)
    expect(report.conflicts).toBe(0)
    expect(report.durationMs).toBe(Date.parse(String(report.endedAt)) - Date.parse(report.startedAt))
  }
  expect(ended.find(({ role }) => role === 'cache')?.servedCalls).toBeGreaterThanOrEqual(3)
  expect((await app.get('/api/outages')).headers.get('cache-control')).toBe('no-store')
  const made = { authorization: `Bearer ${readAdminToken(app.dataDir)}` }
  for (const report of await reports({ headers: made }))
    expect(report).toMatchObject({ conflicts: [], cause: expect.any(String) })
})

test('with ADMIN_TOKEN it asks for it and tells the whole; reports outlive the process, newest first', async () => {
  await open({ ADMIN_TOKEN: TOKEN })
  const earlier = await reports(authorized)
  expect(earlier).toHaveLength(2) // of the process before this one
  expect((await app.get('/api/outages')).status).toBe(401)
  expect((await app.get('/status')).status).toBe(200)

  await breakRedis()
  const all = await reports(authorized)
  expect(all).toHaveLength(4)
  expect(all.slice(2).map(({ id }) => id)).toEqual(earlier.map(({ id }) => id))
  const times = all.map(({ startedAt }) => Date.parse(startedAt))
  expect(times).toEqual([...times].sort((a, b) => b - a))
  for (const report of all) {
    expect(Object.keys(report).sort()).toEqual([...OF_ANYBODY, 'cause', 'note'].sort())
    expect(report).toMatchObject({ cause: expect.stringMatching(/^lost: /), conflicts: [] })
  }
})

test('other methods are refused', async () => {
  await open()
  const { status, headers } = await app.get('/api/outages', { method: 'POST' })
  expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD'])
})

test('roles that were away together are one outage on the page', () => {
  const at = (second: number) => new Date(second * 1_000).toISOString()
  const report = (from: number, to: number | null, servedCalls = 0) => ({
    startedAt: at(from),
    endedAt: to === null ? null : at(to),
    servedCalls,
  })
  expect(lastOutage([], 0)).toBeUndefined()
  expect(lastOutage([report(30, 40, 5), report(10, 20, 3)], 99_000)).toEqual({
    startedAt: at(30),
    endedAt: at(40),
    durationSeconds: 10,
    servedCalls: 5,
  })
  expect(lastOutage([report(12, 18, 5), report(10, 20, 3)], 99_000)).toEqual({
    startedAt: at(10),
    endedAt: at(20),
    durationSeconds: 10,
    servedCalls: 8,
  })
  expect(lastOutage([report(12, 18, 5), report(10, null)], 15_000)).toEqual({
    startedAt: at(10),
    endedAt: null,
    durationSeconds: 8,
    servedCalls: null,
  })
})
