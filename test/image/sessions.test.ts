// A thousand people are logged in, and stay so whatever becomes of Redis or of the container; who was logged out stays
// out, and a webhook is handled once. All on one container: each test leaves it recovered, for the next one.
import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { bootReady, createVolume, keepOn, removeAll, type Samovar, until } from '../helpers/image.ts'
import {
  allowServers,
  damage,
  evaluate,
  outages,
  recovered,
  rewrite,
  sessionsOf,
  takeServersAway,
} from '../helpers/image-state.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

const PEOPLE = 1000
const AT_ONCE = 20
const BOT_TOKEN = '123456789:the-token-of-a-bot-that-is-not'
const SECRET = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`
const env = {
  ADMIN_TOKEN: 'a-token-for-the-admin-of-this-test',
  TELEGRAM_BOT_TOKEN: BOT_TOKEN,
  WEBHOOK_SECRETS: `payments=${SECRET}`,
}

interface Person {
  readonly id: string
  readonly visitor: Visitor
}

let samovar: Samovar
let lastId = 0
const crowd: Person[] = []
const gone: Person[] = []
const delivered: string[] = []

beforeAll(async () => {
  samovar = await bootReady({ env, volume: await createVolume() })
  for (let i = 0; i < PEOPLE; i += AT_ONCE)
    crowd.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => logIn()))))
  await deliverAnew()
})
// On a machine short of time Redis may be away for a moment without our doing.
beforeEach(() => recovered(samovar))
afterAll(removeAll)

/** From an address and a device of its own. */
async function logIn(id = String(++lastId)): Promise<Person> {
  const visitor = visit(samovar, { https: true })
  const fields = await signWidget(widgetFields({ id, last_name: randomUUID() }), BOT_TOKEN)
  expect((await visitor.post('/api/auth/telegram', fields)).status).toBe(200)
  return { id, visitor }
}

/** What is answered to somebody who asks who they are. */
async function ask({ id, visitor }: Person): Promise<string> {
  try {
    const response = await visitor.get('/api/me')
    const { user } = (await response.json()) as { user?: { id: string } }
    if (response.status !== 200) return String(response.status)
    return user?.id === `telegram:${id}` ? 'who they are' : 'somebody else'
  } catch {
    return 'unanswered'
  }
}

type Counts = Partial<Record<string, number>>
const count = (counts: Counts, answer: string) => {
  counts[answer] = (counts[answer] ?? 0) + 1
}

async function answersTo(people: readonly Person[]): Promise<Counts> {
  const counts: Counts = {}
  for (let i = 0; i < people.length; i += AT_ONCE) {
    const answers = await Promise.all(people.slice(i, i + AT_ONCE).map(ask))
    for (const answer of answers) count(counts, answer)
  }
  return counts
}

async function expectAllAsTheyWere(): Promise<void> {
  expect(crowd.length).toBeGreaterThanOrEqual(PEOPLE)
  expect(await answersTo(crowd)).toEqual({ 'who they are': crowd.length })
  expect(await answersTo(gone)).toEqual(gone.length > 0 ? { 401: gone.length } : {})
}

/** Random ones of the crowd ask all the while; returns the answers by their number. */
async function whileAsking(act: () => Promise<void>): Promise<Counts> {
  const counts: Counts = {}
  const stops = Array.from({ length: 4 }, () =>
    keepOn(async () => {
      const answer = await ask(crowd[randomInt(crowd.length)]!)
      count(counts, answer)
      await sleep(answer === 'unanswered' ? 50 : 5)
    }),
  )
  try {
    await act()
  } finally {
    await Promise.all(stops.map((stop) => stop()))
  }
  return counts
}

/** Nobody was told anything but who they are, and while the container was up, everybody was told. */
function expectGood(counts: Counts, { restarted = false } = {}): void {
  // Where the container itself ends and starts, connections are refused or cut: only what was answered counts.
  const { unanswered = 0, ...answered } = counts
  expect(Object.keys(answered)).toEqual(['who they are'])
  expect(answered['who they are']).toBeGreaterThan(10)
  if (!restarted) expect(unanswered).toBe(0)
}

/** Two people with two devices each, one of whom will end one of them, the other one all. */
async function prepareToLeave() {
  const [one, other] = [await logIn(), await logIn()]
  return { one, oneElsewhere: await logIn(one.id), other, otherElsewhere: await logIn(other.id) }
}

/** Sessions end, one and all of somebody, and somebody comes. */
async function liveOn({
  one,
  oneElsewhere,
  other,
  otherElsewhere,
}: Awaited<ReturnType<typeof prepareToLeave>>) {
  const { sessions } = (await (await one.visitor.get('/api/sessions')).json()) as {
    sessions: { id: string; current: boolean }[]
  }
  expect(sessions.map(({ current }) => current).sort()).toEqual([false, true])
  const elsewhere = sessions.find(({ current }) => !current)!
  expect((await one.visitor.delete(`/api/sessions/${elsewhere.id}`)).status).toBe(204)
  expect((await other.visitor.delete('/api/sessions')).status).toBe(204)
  gone.push(oneElsewhere, otherElsewhere, other)
  crowd.push(one, await logIn())
}

async function deliver(id: string) {
  const body = JSON.stringify({ type: 'invoice.paid', data: { invoice: id } })
  const at = new Date()
  const response = await samovar.get('/api/webhooks/payments', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(SECRET).sign(id, at, body),
    },
    body,
  })
  return { status: response.status, isReplayed: response.headers.get('idempotent-replayed') === 'true' }
}

async function deliverAnew(): Promise<void> {
  const id = `msg_${randomUUID()}`
  expect(await deliver(id)).toEqual({ status: 204, isReplayed: false })
  delivered.push(id)
}

/** Each delivery so far comes again, and was handled once. */
async function expectHandledOnce(): Promise<void> {
  for (const id of delivered) expect(await deliver(id)).toEqual({ status: 204, isReplayed: true })
  const response = await samovar.get('/api/webhooks/payments/deliveries', { headers: samovar.asAdmin })
  const { deliveries } = (await response.json()) as { deliveries: { id: string }[] }
  expect(deliveries.map(({ id }) => id).sort()).toEqual([...delivered].sort())
}

const signalState = (signal: string) => samovar.exec(`kill -${signal} $(cat /run/samovar/redis-state.pid)`)

/** The newest report of the state role. */
const lastOutage = async () => (await outages(samovar)).find(({ role }) => role === 'state')

test('redis-state is killed', async () => {
  const { activations } = (await samovar.stats()).fallback
  const counts = await whileAsking(async () => {
    await signalState('KILL')
    await until('it is noticed', async () => (await samovar.stats()).fallback.activations > activations)
    await expectHandledOnce()
    await recovered(samovar)
  })
  expectGood(counts)
  await expectAllAsTheyWere()
})

test('redis-state is frozen; who leaves meanwhile is out, and who comes is in', async () => {
  const leaving = await prepareToLeave()
  const counts = await whileAsking(async () => {
    await signalState('STOP')
    await samovar.status('memory')
    await liveOn(leaving)
    await deliverAnew()
    await expectHandledOnce()
    await expectAllAsTheyWere()
    await sleep(4000)
    expect((await samovar.stats()).status).toBe('memory')
    await signalState('CONT') // before the guard would kill it
    await recovered(samovar)
  })
  expectGood(counts)
  expect(await lastOutage()).toMatchObject({
    cause: expect.stringMatching(/^silent: /),
    conflicts: [],
    lost: 0,
  })
  await expectAllAsTheyWere()
  await expectHandledOnce()
})

test('the container restarts', async () => {
  const counts = await whileAsking(async () => {
    await sleep(1000) // so that there are answers from before it
    expect((await samovar.stop()).code).toBe(0)
    await samovar.start()
    await recovered(samovar)
  })
  expectGood(counts, { restarted: true })
  await expectAllAsTheyWere()
  await expectHandledOnce()
})

test('killed and started while redis-state cannot start: a logout before or after it stays one', async () => {
  const [early, late] = [await prepareToLeave(), await prepareToLeave()]
  const counts = await whileAsking(async () => {
    await takeServersAway(samovar)
    await liveOn(early)
    await deliverAnew()
    await samovar.kill() // what was answered must be on disk by now
    await samovar.start()
    await samovar.status('memory')
    await expectAllAsTheyWere()
    await expectHandledOnce()
    await liveOn(late)
    await deliverAnew()
    await expectAllAsTheyWere()
    await allowServers(samovar, true)
    await recovered(samovar)
  })
  expectGood(counts, { restarted: true })
  expect(await lastOutage()).toMatchObject({ conflicts: [], lost: 0 })
  await expectAllAsTheyWere()
  await expectHandledOnce()
})

test('the append-only file is damaged beyond repair, and the container is killed', async () => {
  await rewrite(samovar)
  const { count: before } = await sessionsOf(samovar)
  const counts = await whileAsking(async () => {
    await damage(samovar, 'base.rdb')
    await samovar.kill()
    await samovar.start()
    await recovered(samovar)
  })
  expectGood(counts, { restarted: true })
  expect(await samovar.text()).toMatch(/redis-state: ALERT .* set aside in \/data\/quarantine\//)
  expect(before).toBeGreaterThanOrEqual(PEOPLE)
  expect((await sessionsOf(samovar)).count).toBe(before)
  await expectAllAsTheyWere()
  await expectHandledOnce()
})

test('redis-state is emptied while it runs', async () => {
  const { count: before } = await sessionsOf(samovar)
  const counts = await whileAsking(async () => {
    const began = Date.now()
    await evaluate(samovar, "redis.call('FLUSHALL')")
    await expectAllAsTheyWere()
    await until('it is seeded from memory', async () =>
      (await outages(samovar)).some(
        ({ role, endedAt, note }) =>
          role === 'state' && Date.parse(endedAt) >= began && note?.includes('came back empty'),
      ),
    )
    await recovered(samovar)
    expect((await sessionsOf(samovar)).count).toBe(before)
    await expectAllAsTheyWere()
  })
  expectGood(counts)
  await expectHandledOnce()
})

test('after all that Redis alone knows who is in and who is out', async () => {
  const starts = () => samovar.exec('stat -c %s /run/samovar/app-starts').then(Number)
  const before = await starts()
  await samovar.exec('rm /data/samovar.db*; kill -9 $(cat /run/samovar/pm2/app-0.pid)')
  await until('the app has been started again', async () => (await starts()) > before)
  await recovered(samovar)
  await expectAllAsTheyWere()
  expect(gone).toHaveLength(9)
})
