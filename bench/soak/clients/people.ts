// People: they log in on several devices with a signed login of Telegram's, look who they are, make and delete alerts,
// and log out here or everywhere. Each does one thing at a time, so that the order of what was acknowledged is known.
import { randomInt } from 'node:crypto'
import { BOT_TOKEN } from '../../../test/helpers/fake-bot-api.ts'
import type { Random } from '../../../test/helpers/random.ts'
import { seconds, signWidget, widgetFields } from '../../../test/helpers/telegram-signer.ts'
import type { Caller } from '../caller.ts'
import { judgeAlerts, judgeLogin, judgeUsedLogin } from '../judge.ts'
import { inTurn, type Ledger, type Login, type Person } from '../ledger.ts'

const DEVICES = 6
const ALERTS = 20
const FIRST_USER = 7_000_000
/** A signed login is refused for its age after 5 minutes; till then only because it was used. */
const REPLAYABLE_MS = 4 * 60_000

export interface People {
  /** Somebody does something. */
  act(random: Random): Promise<void>
  logIn(person: Person): Promise<Login | undefined>
  look(person: Person, login: Login): Promise<void>
  logOut(login: Login): Promise<void>
  listAlerts(person: Person): Promise<void>
  makeAlert(person: Person, random: Random): Promise<void>
  deleteAlert(person: Person, id: string): Promise<void>
  useAgain(login: Login): Promise<void>
  userIdOf(login: Login): Promise<string | undefined>
}

export function createPeople(ledger: Ledger, caller: Caller, count: number): People {
  let logins = 0
  const regulars: Person[] = []
  for (let i = 0; i < count; i += 1) {
    const userId = `telegram:${FIRST_USER + i}`
    const turn = Promise.resolve()
    regulars.push({ userId, logins: [], alerts: new Map(), unsureAlerts: 0, turn })
  }
  ledger.people.push(...regulars)

  const post = (fields: Readonly<Record<string, string>>, expected: readonly number[]) =>
    caller.ask({
      name: 'log in',
      path: '/api/auth/telegram',
      method: 'POST',
      headers: { 'x-forwarded-for': `198.51.${randomInt(256)}.${randomInt(256)}` },
      body: JSON.stringify(fields),
      expected,
    })

  const people: People = {
    async act(random) {
      const person = random.pick(regulars)
      await inTurn(person, () => step(person, random))
    },

    async logIn(person) {
      logins += 1
      const number = logins
      const id = person.userId.slice('telegram:'.length)
      const told = widgetFields({ id, first_name: `Soak ${number}`, auth_date: seconds() })
      const fields = await signWidget(told, BOT_TOKEN)
      const answer = await post(fields, [200])
      const cookie = /^(sid=[^;]+)/.exec(answer?.headers.getSetCookie().at(-1) ?? '')?.[1]
      if (!answer || cookie === undefined) return undefined
      const { sentAtMs } = answer
      const login: Login = { number, userId: person.userId, cookie, fields, sentAtMs, state: 'in' }
      person.logins.push(login)
      return login
    },

    async look(person, login) {
      const answer = await caller.ask({
        name: 'who am I',
        path: '/api/me',
        headers: { cookie: login.cookie },
        expected: [200, 401],
      })
      if (!answer) return
      const wrong = judgeLogin(login, { status: answer.status, userId: userIdIn(answer.text) })
      ledger.add(wrong, String(login.number))
      if (wrong) person.logins.splice(person.logins.indexOf(login), 1) // it is known, and nothing more can be asked of it
    },

    async logOut(login) {
      login.state = 'leaving'
      const ask = { name: 'log out', path: '/api/logout', method: 'POST', expected: [204] }
      if (await caller.ask({ ...ask, headers: { cookie: login.cookie } })) login.state = 'out'
    },

    async listAlerts(person) {
      const login = someoneIn(person)
      const ask = { name: 'list alerts', path: '/api/alerts' }
      const answer = login && (await caller.ask({ ...ask, headers: { cookie: login.cookie } }))
      if (!answer) return
      const { alerts } = JSON.parse(answer.text) as { alerts: { id: string }[] }
      for (const wrong of judgeAlerts(
        person,
        alerts.map(({ id }) => id),
      ))
        ledger.add(wrong, wrong.words)
    },

    async makeAlert(person, random) {
      const login = someoneIn(person)
      if (!login || [...person.alerts.values()].filter((state) => state !== 'gone').length >= ALERTS) return
      person.unsureAlerts += 1
      const answer = await caller.ask({
        name: 'make an alert',
        path: '/api/alerts',
        method: 'POST',
        headers: { cookie: login.cookie },
        // So far away that it never triggers.
        body: JSON.stringify({ coin: random.pick(['bitcoin', 'solana', 'tron']), when: 'above', value: 1e9 }),
        expected: [201],
      })
      if (!answer) return
      person.unsureAlerts -= 1
      person.alerts.set((JSON.parse(answer.text) as { id: string }).id, 'there')
    },

    async deleteAlert(person, id) {
      const login = someoneIn(person)
      if (!login) return
      person.alerts.set(id, 'leaving')
      const path = `/api/alerts/${id}`
      const headers = { cookie: login.cookie }
      // 404 after a delete whose answer was lost.
      const ask = { name: 'delete an alert', path, method: 'DELETE', headers, expected: [204, 404] }
      if (await caller.ask(ask)) person.alerts.set(id, 'gone')
    },

    async useAgain(login) {
      if (Date.now() - login.sentAtMs > REPLAYABLE_MS) return
      const answer = await post(login.fields, [200, 401])
      if (answer) ledger.add(judgeUsedLogin(login, answer), String(login.number))
    },

    async userIdOf(login) {
      const answer = await caller.ask({
        name: 'who am I',
        path: '/api/me',
        headers: { cookie: login.cookie },
      })
      return answer && userIdIn(answer.text)
    },
  }

  async function step(person: Person, random: Random): Promise<void> {
    const dice = random.below(100)
    const inside = person.logins.filter(({ state }) => state === 'in')
    if (inside.length === 0 || (dice < 25 && inside.length < DEVICES))
      return void (await people.logIn(person))
    const login = random.pick(inside)
    if (dice < 55) await people.look(person, random.chance(0.3) ? random.pick(person.logins) : login)
    else if (dice < 65 && inside.length > 2) await people.logOut(login)
    else if (dice < 67) await logOutEverywhere(person, login, '')
    else if (dice < 70) await logOutEverywhere(person, login, '?others=true')
    else if (dice < 78) await people.useAgain(random.pick(person.logins))
    else if (dice < 86) await people.makeAlert(person, random)
    else if (dice < 90) await deleteSome(person, random)
    else await people.listAlerts(person)
  }

  async function deleteSome(person: Person, random: Random): Promise<void> {
    const there = [...person.alerts].filter(([, state]) => state !== 'gone').map(([id]) => id)
    if (there.length > 0) await people.deleteAlert(person, random.pick(there))
  }

  async function logOutEverywhere(person: Person, login: Login, query: '' | '?others=true'): Promise<void> {
    const leaving = person.logins.filter(
      (other) => other.state !== 'out' && (query === '' || other !== login),
    )
    for (const other of leaving) other.state = 'leaving'
    const ask = {
      name: 'log out everywhere',
      path: `/api/sessions${query}`,
      method: 'DELETE',
      expected: [204],
    }
    const answer = await caller.ask({ ...ask, headers: { cookie: login.cookie } })
    if (answer) for (const other of leaving) other.state = 'out'
  }

  const someoneIn = (person: Person) => person.logins.findLast(({ state }) => state === 'in')
  return people
}

function userIdIn(text: string): string | undefined {
  return (JSON.parse(text) as { user?: { id: string } }).user?.id
}
