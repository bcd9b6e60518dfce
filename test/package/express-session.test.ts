// samovar/express-session: the library itself with real requests, each method, while Redis is killed, frozen and
// emptied; and what connect-redis promises of its methods.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session, { type SessionData, type Store } from 'express-session'
import { createSessionStore } from '../../src/adapters/express-session.ts'
import { eventually } from '../helpers/eventually.ts'
import {
  breakRedis,
  faults,
  mendRedis,
  type PackageWorld,
  soon,
  usePackageWorld,
} from '../helpers/package-world.ts'

const world = usePackageWorld()

type Samovar = Awaited<ReturnType<PackageWorld['open']>>
type Visits = session.Session & { visits?: number }

/** An app that counts the visits of those who have come once. */
async function openApp(samovar: Samovar) {
  const app = express()
  const store = createSessionStore(samovar)
  const secret = 'of the test'
  app.use(session({ store, secret, resave: false, saveUninitialized: false, cookie: { maxAge: 60_000 } }))
  app.post('/visits', ({ session }: { session: Visits }, res) => {
    session.visits = (session.visits ?? 0) + 1
    res.json(session.visits)
  })
  app.get('/visits', ({ session }: { session: Visits }, res) => void res.json(session.visits ?? 0))
  app.delete('/visits', (req, res, next) =>
    req.session.destroy((error) => (error ? next(error) : res.json('gone'))),
  )
  const server = app.listen(0)
  await once(server, 'listening')
  world.closeLater(async () => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/visits`
  let cookie = ''
  async function ask(method: 'GET' | 'POST' | 'DELETE', by = cookie): Promise<unknown> {
    const answer = await soon(() => fetch(origin, { method, headers: { cookie: by } }))
    expect(answer.status).toBe(200)
    cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? cookie
    return answer.json()
  }
  return { ask, cookie: () => cookie }
}

test.each(faults)('visitors stay logged in while Redis is %s, and after it', async (fault) => {
  const samovar = await world.open()
  const { ask, cookie } = await openApp(samovar)
  await ask('POST')
  await breakRedis(world.redis, fault)
  expect(await ask('GET')).toBe(1)
  expect(await ask('POST')).toBe(2)
  await mendRedis(world.redis, fault)
  await world.untilBack(samovar)
  expect(await ask('POST')).toBe(3)
  const other = await openApp(await world.open())
  await eventually(async () => expect(await other.ask('GET', cookie())).toBe(3))
  expect(await ask('DELETE')).toBe('gone')
  expect(await ask('GET')).toBe(0)
  await eventually(async () => expect(await other.ask('GET', cookie())).toBe(0))
})

test('a login in an outage outlives the process where it has a data directory', async () => {
  const dataDir = world.directory()
  const samovar = await world.open({ dataDir })
  const { ask, cookie } = await openApp(samovar)
  await world.redis.kill()
  await ask('POST')
  await samovar.close()
  const { ask: later } = await openApp(await world.open({ dataDir }))
  expect(await later('GET', cookie())).toBe(1)
})

test('a visitor of whom nobody can know is a guest, and keeps his cookie', async () => {
  const first = await openApp(await world.open())
  await first.ask('POST')
  world.redis.freeze()
  const samovar = await world.open()
  const { ask, cookie } = await openApp(samovar)
  expect(await ask('GET', first.cookie())).toBe(0)
  expect(cookie()).toBe('')
  world.redis.thaw()
  await eventually(async () => expect(await ask('GET', first.cookie())).toBe(1))
})

describe.each([...faults, 'well'] as const)('each method, Redis %s', (fault) => {
  const dataOf = (name: string, expires?: Date) =>
    ({ cookie: { originalMaxAge: null, ...(expires && { expires }) }, name }) as unknown as SessionData

  /** What the method calls back with. */
  const call = <T = void>(begin: (callback: (error: unknown, value?: T) => void) => void) =>
    soon(
      () =>
        new Promise<T | undefined>((resolve, reject) =>
          begin((error, value) => (error ? reject(error) : resolve(value))),
        ),
    )

  const found = (store: Store, id: string) => call<SessionData | null>((done) => store.get(id, done))

  test('sets, gets, touches, counts, destroys and clears', async () => {
    const store = createSessionStore(await world.open(), { ttlMs: 3_600_000 })
    if (fault !== 'well') await breakRedis(world.redis, fault)
    expect(await found(store, 'nobody')).toBeNull()
    await call((done) => store.set('a', dataOf('Anna'), done))
    await call((done) => store.set('b', dataOf('Boris'), done))
    expect(await found(store, 'a')).toMatchObject({ name: 'Anna' })
    const later = dataOf('not taken', new Date(Date.now() + 86_400_000))
    await call((done) => store.touch?.('a', later, () => done(undefined)))
    expect(await found(store, 'a')).toMatchObject({ name: 'Anna' })
    expect(await call<number>((done) => store.length?.(done))).toBe(2)
    const all = (await call<unknown>((done) => store.all?.(done))) as { name: string }[]
    expect(all.map(({ name }) => name).sort()).toEqual(['Anna', 'Boris'])
    await call((done) => store.destroy('a', done))
    expect(await found(store, 'a')).toBeNull()
    await call((done) => store.set('a', dataOf('back from the dead'), done))
    expect(await found(store, 'a')).toBeNull()
    await call((done) => store.set('d', dataOf('Dora', new Date(Date.now() + 86_400_000)), done))
    await call((done) => store.touch?.('d', dataOf('Dora', new Date(Date.now() - 1)), () => done(undefined)))
    expect(await found(store, 'd')).toBeNull()
    await call((done) => store.set('c', dataOf('late', new Date(Date.now() - 1)), done))
    expect(await found(store, 'c')).toBeNull()
    await call((done) => store.clear?.(done))
    expect(await call<number>((done) => store.length?.(done))).toBe(0)
  })
})

test('no id of a session is in Redis', async () => {
  const { ask, cookie } = await openApp(await world.open())
  await ask('POST')
  const id = decodeURIComponent(cookie()).split('=s:')[1]?.split('.')[0] ?? ''
  expect(id).toMatch(/^.{20,}$/)
  expect(await world.redis.command('KEYS', '*')).toContain('express-session:')
  expect(await world.redis.command('KEYS', '*')).not.toContain(id)
})
