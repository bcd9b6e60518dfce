// Clients of several containers on one /data, who note what they were told: logins, logouts and webhooks, each through
// a door chosen at random. At the end it is asked of the container that stays.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { startStopwatch } from './control-clock.ts'
import { createRandom } from './random.ts'
import { createRefusals } from './redeploy-refusals.ts'
import { signWidget, widgetFields } from './telegram-signer.ts'
import { type Visitor, visit } from './visitor.ts'

export const BOT_TOKEN = '123456789:the-token-of-a-bot-that-is-not'
const SECRET = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`
/** Of every container: the secret of sessions is the same without a file, too. */
export const ledgerEnv = {
  TELEGRAM_BOT_TOKEN: BOT_TOKEN,
  WEBHOOK_SECRETS: `payments=${SECRET}`,
  SESSION_SECRET: 'a secret of sessions that all containers of a test have',
}

/** A way into a container. */
export interface Door {
  get(path: string, init?: RequestInit): Promise<Response>
}

interface Person {
  readonly id: string
  readonly visitor: Visitor
  at: Door
  cookie: string
  /** `unsure`: an answer did not arrive, so nobody may know. */
  state: 'in' | 'out' | 'unsure'
}

/** What was wrong at the end, and how it went. */
export interface Verdict {
  /** Acknowledged logins that are none any more. */
  lost: number
  /** Acknowledged logouts that are logged in again. */
  undone: number
  /** Deliveries that were accepted and are not known, or were handled twice. */
  webhooks: number
  /** Logins that were refused for a moment, and afterwards as used. */
  burned: number
  acknowledged: number
  refused: number
  /** Refusals without a Retry-After, or with another code. */
  odd: string[]
  /** The longest time without any acknowledged change, ms of the control clock. */
  longestGapMs: number
  /** The longest time from the first refusal while no door takes changes until the next acknowledged one: as above. */
  refusedUntilAckMs: number
  /** All times together in which changes were refused at every door: from the first refusal to the last of each. */
  refusedMs: number
}

export function createLedger(seed: number) {
  const random = createRandom(seed)
  const doors = new Set<Door>()
  const people: Person[] = []
  const delivered = new Set<string>()
  const odd: string[] = []
  const counts = { acknowledged: 0, refused: 0, burned: 0 }
  let [lastAckMs, longestGapMs] = [0, 0]
  const refusals = createRefusals()
  let elapsedMs = () => 0
  let lastId = 0

  /** While one container has ended and the next one is not there yet, clients wait. */
  async function anyDoor(): Promise<Door> {
    while (doors.size === 0) await sleep(20)
    return random.pick([...doors])
  }

  function acknowledged(door: Door): void {
    counts.acknowledged += 1
    refusals.taken(door, elapsedMs())
    if (lastAckMs > 0) longestGapMs = Math.max(longestGapMs, elapsedMs() - lastAckMs)
    lastAckMs = elapsedMs()
  }

  /** Undefined when the connection failed: nobody knows what was done. */
  async function tell(door: Door, request: () => Promise<Response>): Promise<Response | undefined> {
    try {
      const response = await request()
      if (response.status !== 503) return response
      counts.refused += 1
      refusals.refused(door, doors, elapsedMs())
      const { code } = (await response.clone().json()) as { code?: string }
      const after = response.headers.get('retry-after')
      const isKnown = code === 'handing_over' || code === 'state_unknown' || code === 'stopping'
      if (!isKnown || after === null) odd.push(`${code} ${after}`)
      return response
    } catch {
      return undefined
    }
  }

  async function logIn(): Promise<void> {
    const id = String(++lastId)
    const person: Person = {
      id,
      at: await anyDoor(),
      cookie: '',
      state: 'unsure',
      visitor: visit({ get: (...args) => person.at.get(...args) }, { https: true }),
    }
    const fields = await signWidget(widgetFields({ id, last_name: randomUUID() }), BOT_TOKEN)
    for (let tries = 0; tries < 40; tries += 1) {
      const response = await tell(person.at, () => person.visitor.post('/api/auth/telegram', fields))
      if (response === undefined) return // it may have been used up
      if (response.status === 200) {
        person.state = 'in'
        person.cookie = [...person.visitor.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
        people.push(person)
        return acknowledged(person.at)
      }
      if (response.status !== 503) {
        counts.burned += 1
        odd.push(`login ${response.status} after ${tries} tries`)
        return
      }
      await sleep(50)
      person.at = await anyDoor()
    }
  }

  async function logOut(): Promise<void> {
    const person = random.pick(people.filter(({ state }) => state === 'in'))
    if (!person) return
    person.state = 'unsure'
    person.at = await anyDoor()
    const response = await tell(person.at, () => person.visitor.post('/api/logout'))
    if (response === undefined) return
    if (response.status === 503) person.state = 'in'
    if (response.status !== 204) return
    // A door that does not know of the login has nothing to end: the cookie is still there, and so is the session.
    if (person.visitor.cookies.has('__Host-sid')) {
      odd.push('a logout without a session')
      return
    }
    person.state = 'out'
    acknowledged(person.at)
  }

  async function send(door: Door, id: string): Promise<Response> {
    const body = JSON.stringify({ type: 'invoice.paid', data: { invoice: id } })
    const at = new Date()
    return door.get('/api/webhooks/payments', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-forwarded-for': `198.51.${random.below(256)}.${random.below(256)}`,
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': new Webhook(SECRET).sign(id, at, body),
      },
      body,
    })
  }

  async function deliver(): Promise<void> {
    const id = `msg_${randomUUID()}`
    for (let tries = 0; tries < 40; tries += 1) {
      const door = await anyDoor()
      const response = await tell(door, () => send(door, id))
      await response?.arrayBuffer()
      if (response?.status === 204) {
        delivered.add(id)
        return acknowledged(door)
      }
      await sleep(50)
    }
  }

  return {
    open: (door: Door) => void doors.add(door),
    shut: (door: Door) => void doors.delete(door),
    acknowledgedSoFar: () => counts.acknowledged,
    /** Clients come until it is stopped. */
    async run(clients = 4, pauseMs = 20): Promise<() => Promise<void>> {
      elapsedMs = await startStopwatch()
      let isOn = true
      const one = async () => {
        while (isOn) {
          await random.pick([logIn, logIn, logOut, deliver])()
          await sleep(pauseMs)
        }
      }
      const all = Array.from({ length: clients }, one)
      return async () => {
        isOn = false
        await Promise.all(all)
      }
    },
    /** Asks the container that stays; `handled` are the ids of deliveries in its records, each as often as it is there. */
    async judge(door: Door, handled: readonly string[]): Promise<Verdict> {
      const known = people.filter(({ state }) => state !== 'unsure')
      const answers: boolean[] = []
      for (const { id, cookie } of known) {
        const response = await door.get('/api/me', { headers: { cookie, 'x-forwarded-proto': 'https' } })
        const { user } = (await response.json()) as { user?: { id: string } }
        answers.push(user?.id === `telegram:${id}`)
      }
      const wrong = (state: Person['state']) =>
        known.filter((person, i) => person.state === state && answers[i] !== (state === 'in')).length
      const times = new Map<string, number>()
      for (const id of handled) times.set(id, (times.get(id) ?? 0) + 1)
      let webhooks = [...times.values()].filter((count) => count > 1).length
      for (const id of delivered) {
        const response = await send(door, id)
        await response.arrayBuffer()
        const isReplayed = response.headers.get('idempotent-replayed') === 'true'
        if (!isReplayed || !times.has(id)) webhooks += 1
      }
      const rest = { ...counts, odd, longestGapMs: Math.round(longestGapMs), ...refusals.told() }
      return { lost: wrong('in'), undone: wrong('out'), webhooks, ...rest }
    },
  }
}

export type Ledger = ReturnType<typeof createLedger>
