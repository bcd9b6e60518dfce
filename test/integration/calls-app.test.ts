// Calls in the whole app: who may make a link and open a socket, what a logout means for one, and two processes on
// one Redis.
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { cut, openCall } from '../helpers/call-client.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

let logins = 0

/** A login of Telegram's is good once, so each has its own user name. */
async function logIn(app: TestApp): Promise<Visitor> {
  const visitor = visit(app)
  logins += 1
  const fields = widgetFields({ username: `anna${logins}` })
  const login = await visitor.post('/api/auth/telegram', await signWidget(fields, BOT_TOKEN))
  expect(login.status).toBe(200)
  return visitor
}
const cookieOf = ({ cookies }: Visitor) => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')

interface Made {
  readonly room: string
  readonly key: string
  readonly path: string
}

describe('where people log in', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ REDIS_URL: 'off', TELEGRAM_BOT_TOKEN: BOT_TOKEN })
  })
  afterAll(() => app.close())

  test('they make links, and guests enter by them, and by nothing else', async () => {
    expect((await visit(app).post('/api/calls', {})).status).toBe(401)
    const anna = await logIn(app)
    const answer = await anna.post('/api/calls', { kind: 'pair' })
    expect(answer.status).toBe(201)
    const { room, key, path } = (await answer.json()) as Made
    const host = await openCall(app.url, { headers: { cookie: cookieOf(anna) } })
    expect((await host.join(room)).you.name).toBe('Anna Smirnova')
    const guest = await openCall(app.url, { key })
    expect((await guest.join(room, { name: 'Boris' })).peers).toMatchObject([{ name: 'Anna Smirnova' }])
    await expect(openCall(app.url)).rejects.toThrow('refused: 401')
    await expect(
      openCall(app.url, { headers: { cookie: cookieOf(anna), origin: 'https://evil.example' } }),
    ).rejects.toThrow('refused: 403')

    const page = await visit(app).get(path)
    expect([page.status, page.headers.get('permissions-policy')]).toEqual([
      200,
      'camera=(self), microphone=(self)',
    ])
    expect((await visit(app).get(`/call/${room}`)).status).toBe(403)
    expect(await page.text()).toContain(`data-key="${key}"`)
    // The socket of whoever is logged in opens by the login, and by nothing that would outlive it.
    for (const way of [path, `/call/${room}`]) {
      const own = await anna.get(way)
      expect(own.status).toBe(200)
      expect(await own.text()).toContain('data-key=""')
    }
    for (const client of [host, guest]) await cut(client)
  })

  test('a guest who has the name of a user is told apart, in the list, in what comes and in what is said', async () => {
    const anna = await logIn(app)
    const { room, key } = (await (await anna.post('/api/calls', { kind: 'group' })).json()) as Made
    const host = await openCall(app.url, { headers: { cookie: cookieOf(anna) } })
    expect((await host.join(room)).you).toMatchObject({ name: 'Anna Smirnova', guest: false })
    const guest = await openCall(app.url, { key })
    const joined = await guest.join(room, { name: 'Anna Smirnova' })
    expect(joined).toMatchObject({ you: { guest: true }, peers: [{ name: 'Anna Smirnova', guest: false }] })
    expect((await host.next('peer-joined')).peer).toMatchObject({ name: 'Anna Smirnova', guest: true })
    for (const [one, isGuest] of [
      [host, false],
      [guest, true],
    ] as const) {
      one.send({ type: 'say', data: { guest: !isGuest } })
      const said = await host.next('said', ({ guest }) => guest === isGuest)
      expect(said).toMatchObject({ name: 'Anna Smirnova', from: isGuest ? joined.you.id : said.from })
    }
    for (const client of [host, guest]) await cut(client)
  })

  test('a page of a login opens its socket without a key, and nothing after the logout', async () => {
    const anna = await logIn(app)
    const { room } = (await (await anna.post('/api/calls', {})).json()) as Made
    const cookie = cookieOf(anna)
    const ofPage = () => fetch(`${app.url}/call/${room}`, { headers: { cookie } })
    const key = /data-key="([^"]*)"/.exec(await (await ofPage()).text())?.[1]
    const host = await openCall(app.url, { headers: { cookie }, key: key ?? 'no page' })
    await host.join(room)
    await anna.post('/api/logout')
    await cut(host)
    expect((await ofPage()).status).toBe(403)
    await expect(openCall(app.url, { headers: { cookie }, key: key ?? '' })).rejects.toThrow('refused: 401')
  })

  test('whoever has none is led to the login', async () => {
    expect(await (await visit(app).get('/call?lang=en')).text()).toContain('Log in to make a link')
    expect(await (await (await logIn(app)).get('/call?lang=en')).text()).toContain('A call for two')
  })

  test('a cookie that has been logged out opens no socket', async () => {
    const anna = await logIn(app)
    const cookie = cookieOf(anna)
    const { socket } = await openCall(app.url, { headers: { cookie } })
    await anna.post('/api/logout')
    await expect(openCall(app.url, { headers: { cookie } })).rejects.toThrow('refused: 401')
    socket.terminate()
  })
})

test('where nobody can log in, everybody makes links, sixty an hour', async () => {
  const app = await startApp({ REDIS_URL: 'off' })
  try {
    const visitor = visit(app)
    const statuses: number[] = []
    for (let i = 0; i < 61; i += 1) statuses.push((await visitor.post('/api/calls', {})).status)
    expect(statuses).toEqual([...Array(60).fill(201), 429])
    expect((await visit(app).post('/api/calls', { kind: 'crowd' })).status).toBe(400)
  } finally {
    await app.close()
  }
})

test('on one Redis two processes serve one call, and a peer moves from one to the other', async () => {
  const redis = await startRedis()
  const here = await startApp({ REDIS_URL: redis.url, ...PATIENCE })
  const there = await startApp({ REDIS_URL: redis.url, ...PATIENCE, DATA_DIR: here.dataDir })
  try {
    for (const app of [here, there]) await app.untilStatus('redis')
    const { room, key } = (await (await visit(here).post('/api/calls', {})).json()) as Made
    const [anna, boris] = [await openCall(here.url, { key }), await openCall(there.url, { key })]
    const annaIs = (await anna.join(room, { name: 'Anna' })).you.id
    const borisJoined = await boris.join(room, { name: 'Boris' })
    expect(borisJoined.peers).toMatchObject([{ id: annaIs }])
    await anna.next('peer-joined')
    boris.send({ type: 'signal', to: annaIs, data: 'offer' })
    expect(await anna.next('signal')).toMatchObject({ from: borisJoined.you.id, data: 'offer' })

    const third = await openCall(here.url, { key })
    third.send({ type: 'join', room })
    expect(await third.next('error')).toMatchObject({ code: 'room_full' })

    await cut(boris)
    anna.send({ type: 'signal', to: borisJoined.you.id, data: 'missed' })
    const again = await openCall(here.url, { key })
    const { epoch, offset, signals } = borisJoined
    const since = { epoch, offset, signals }
    const joined = await again.join(room, { resume: borisJoined.you.resume, since })
    expect(joined).toMatchObject({ you: { id: borisJoined.you.id }, resumed: true, peers: [{ id: annaIs }] })
    expect(await again.next('signal')).toMatchObject({ data: 'missed' })
    await anna.settle()
    expect(anna.messages.map(({ type }) => type)).not.toContain('peer-left')
    again.send({ type: 'leave' })
    expect(await anna.next('peer-left')).toMatchObject({ id: borisJoined.you.id, reason: 'left' })
    for (const client of [anna, third, again]) await cut(client)
  } finally {
    await there.close()
    await here.close()
    await redis.stop()
  }
})
