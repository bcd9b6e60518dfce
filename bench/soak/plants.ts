// Lies of the driver, and breakages behind its back: each must make the run fail (npm run soak -- --plant KIND).
import { randomUUID } from 'node:crypto'
import { pause } from '../../src/lib/time.ts'
import { BOT_TOKEN } from '../../test/helpers/fake-bot-api.ts'
import { createRandom } from '../../test/helpers/random.ts'
import { signWidget, widgetFields } from '../../test/helpers/telegram-signer.ts'
import type { Caller } from './caller.ts'
import type { People } from './clients/people.ts'
import type { Readers } from './clients/readers.ts'
import type { Senders } from './clients/senders.ts'
import { killedWhole } from './container-faults.ts'
import type { Sample } from './growth.ts'
import { judgeEarly } from './judge.ts'
import { type Hit, inTurn, type Ledger, type Login, limitOf, type Person } from './ledger.ts'
import type { PlantName } from './plant-names.ts'
import type { Stage } from './stage.ts'

export interface World {
  readonly stage: Stage
  readonly ledger: Ledger
  readonly caller: Caller
  readonly people: People
  readonly senders: Senders
  readonly readers: Readers
  readonly samples: Sample[]
}

const LIMIT = { limit: 60, windowMs: 60_000 }
const MINUTE_MS = 60_000

const plants: Record<PlantName, (world: World) => Promise<unknown> | unknown> = {
  'lost-login': ({ caller, ...world }) =>
    somebody(world, (_person, { cookie }) =>
      caller.ask({
        name: 'log out',
        path: '/api/logout',
        method: 'POST',
        headers: { cookie },
        expected: [204],
      }),
    ),

  'undone-logout': (world) =>
    somebody(world, (_person, login) => {
      login.state = 'out'
    }),

  'another-person': (world) =>
    somebody(world, ({ logins }, login) => logins.push({ ...login, userId: 'telegram:1' })),

  'used-login': (world) =>
    somebody(world, async (_person, login) => {
      const told = widgetFields({ id: login.userId.slice('telegram:'.length), first_name: 'Planted' })
      await world.people.useAgain({
        ...login,
        fields: await signWidget(told, BOT_TOKEN),
        sentAtMs: Date.now(),
      })
    }),

  'forgotten-delivery': ({ ledger }) => forget(ledger, 0),

  async 'unlisted-delivery'({ ledger, senders }) {
    forget(ledger, Date.now())
    await senders.checkList()
  },

  'lost-alert': ({ caller, ...world }) =>
    someAlert(world, (id, _person, { cookie }) =>
      caller.ask({
        name: 'delete an alert',
        path: `/api/alerts/${id}`,
        method: 'DELETE',
        headers: { cookie },
        expected: [204],
      }),
    ),

  'returned-alert': (world) => someAlert(world, (id, person) => person.alerts.set(id, 'gone')),

  async 'over-limit'({ ledger, caller }) {
    const limited = limitOf(ledger, 'unsigned', 'planted', LIMIT)
    for (let i = 0; i <= LIMIT.limit; i += 1)
      limited.hits.push(await unsigned(caller, `203.0.113.${100 + i}`))
  },

  async 'early-refusal'({ ledger, caller }) {
    let hit = await unsigned(caller, '203.0.113.99')
    for (let i = 0; i < LIMIT.limit + 5; i += 1) hit = await unsigned(caller, '203.0.113.99')
    ledger.add(judgeEarly(limitOf(ledger, 'unsigned', 'planted', LIMIT), hit))
  },

  async 'stale-read'({ ledger, readers }) {
    await readers.readHistory()
    await pause(50)
    ledger.clearedAtMs = Date.now()
    await readers.readHistory()
  },

  'bad-answer'({ caller }) {
    caller.spoilNext = (seen) => {
      seen.status = 500
    }
  },

  'no-answer'({ caller }) {
    caller.spoilNext = (seen) => {
      seen.status = undefined
    }
  },

  'slow-call'({ caller }) {
    caller.spoilNext = (seen) => {
      seen.startMs -= MINUTE_MS
    }
  },

  /** A life that is longer than any other, and grows by a gigabyte and 600 descriptors an hour. */
  leak({ samples }) {
    const nowMs = Date.now()
    for (let minute = 0; minute < 10_000; minute += 1) {
      const atMs = nowMs + minute * MINUTE_MS
      samples.push({ atMs, pid: -1, rssKib: 100_000 + minute * 17_000, descriptors: 50 + minute * 10 })
    }
  },

  /** Everything of the state role is deleted, and the container killed before it can notice. */
  async 'wiped-data'({ stage }) {
    await stage.current().exec('rm -rf /data/state/* /data/samovar.db*')
    await killedWhole.run(stage, createRandom(1))
  },
}

export const plant = async (name: PlantName, world: World) => void (await plants[name](world))

/** A person with a login, when nobody else acts for them. */
async function somebody(
  { ledger, people }: Pick<World, 'ledger' | 'people'>,
  work: (person: Person, login: Login) => unknown,
): Promise<void> {
  const [person] = ledger.people
  await inTurn(person as Person, async () => {
    const login = await people.logIn(person as Person)
    if (login) await work(person as Person, login)
  })
}

const someAlert = (
  world: Pick<World, 'ledger' | 'people'>,
  work: (id: string, person: Person, login: Login) => unknown,
) =>
  somebody(world, async (person, login) => {
    await world.people.makeAlert(person, createRandom(1))
    const [id] = [...person.alerts].findLast(([, state]) => state === 'there') ?? []
    if (id !== undefined) await work(id, person, login)
  })

function forget(ledger: Ledger, acknowledgedAtMs: number): void {
  const id = `msg_${randomUUID()}`
  ledger.deliveries.set(id, { id, body: '{}', isAcknowledged: true, acknowledgedAtMs })
}

async function unsigned(caller: Caller, from: string): Promise<Hit> {
  const sentAtMs = Date.now()
  const answer = await caller.ask({
    name: 'unsigned request',
    path: '/api/webhooks/soak',
    method: 'POST',
    headers: { 'x-forwarded-for': from },
    expected: [401, 429],
  })
  const outcome = answer === undefined ? 'unknown' : answer.status === 429 ? 'refused' : 'allowed'
  return { sentAtMs, receivedAtMs: answer?.receivedAtMs ?? Date.now(), outcome }
}
