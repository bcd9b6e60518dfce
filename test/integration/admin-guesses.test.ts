// Wrong admin tokens are limited and logged, and the right one works all the while.
import type { Request } from 'express'
import { createAdminGuesses, guessesInAll, guessesOfClient } from '../../src/http/admin-guesses.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { createClock } from '../helpers/clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'

const TOKEN = 'a-long-token'
let app: TestApp
beforeAll(async () => {
  app = await startApp({ REDIS_URL: 'off', ADMIN_TOKEN: TOKEN, TRUST_PROXY: '1' })
})
afterAll(() => app.close())

const basic = (token: string) => `Basic ${Buffer.from(`admin:${token}`).toString('base64')}`
const ask = (path: string, authorization: string, from: string) =>
  app.get(path, { headers: { authorization, 'x-forwarded-for': from } })

test.each([
  ['/api/cache/stats', (token: string) => `Bearer ${token}`, '192.0.2.1'],
  ['/admin/jobs', basic, '192.0.2.2'],
])('%s: 150 wrong tokens', async (path, authorization, from) => {
  const linesBefore = app.lines.length
  const beganAtMs = performance.now()
  const statuses: number[] = []
  for (let i = 0; i < 150; i += 1) {
    const answer = await ask(path, authorization(`wrong-${i}`), from)
    statuses.push(answer.status)
    if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  }
  const seconds = (performance.now() - beganAtMs) / 1_000
  expect(statuses.slice(0, guessesOfClient.limit)).toEqual(Array(guessesOfClient.limit).fill(401))
  expect(statuses.slice(guessesOfClient.limit)).toEqual(Array(150 - guessesOfClient.limit).fill(429))
  const told = () =>
    app.lines.slice(linesBefore).filter(({ message }) => message.includes('wrong admin token'))
  await eventually(() => expect(told().map(({ fields }) => fields.address)).toContain(from))
  const lines = told()
  expect(lines.length).toBeLessThanOrEqual(2 + Math.ceil(seconds))
  expect(JSON.stringify(lines)).not.toContain('wrong-1')
  expect((await ask(path, authorization(TOKEN), from)).status).not.toBe(429)
  expect((await ask('/api/cache/stats', `Bearer ${TOKEN}`, from)).status).toBe(200)
  expect((await app.get(path, { headers: { 'x-forwarded-for': from } })).status).toBe(401) // no guess at all
})

function from(ip: string, authorization = 'Bearer wrong') {
  return { ip, socket: {}, headers: { authorization } } as unknown as Request
}

test('guesses count for a client, an IPv6 /64 as one, and in all', async () => {
  const clock = createClock()
  const { log, lines } = recordLog()
  const { note } = createAdminGuesses({ log, now: clock.now })
  const subnet = Array.from({ length: 20 }, (_, i) => note(from(`2001:db8::${i.toString(16)}`)))
  expect(subnet.filter(Boolean)).toHaveLength(guessesOfClient.limit)
  expect(note(from('2001:db8:0:0:1::'))).toBe(false)
  expect(note(from('2001:db8:0:1::'))).toBe(true)
  expect(Array.from({ length: 11 }, () => note(from('::ffff:192.0.2.7'))).filter(Boolean)).toHaveLength(10)
  expect(note(from('192.0.2.7'))).toBe(false)
  const others = Array.from({ length: 200 }, (_, i) => note(from(`198.51.100.${i}`)))
  expect(others.filter(Boolean)).toHaveLength(guessesInAll.limit - 21)
  expect(note(from('198.51.100.250', ''))).toBe(true)
  expect(lines.map(({ fields }) => fields)).toEqual([{ address: '2001:db8:0:0::/64', requests: 1 }])
  await eventually(() => expect(lines[1]?.fields).toEqual({ address: '198.51.100.199', requests: 233 }))
  clock.turn(60_001)
  const once = from('198.51.100.1')
  expect(Array.from({ length: 50 }, () => note(once)).every(Boolean)).toBe(true)
  expect(Array.from({ length: 9 }, () => note(from('198.51.100.1'))).every(Boolean)).toBe(true)
  expect(note(from('198.51.100.1'))).toBe(false)
})
