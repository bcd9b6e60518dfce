// Those who ask for more than their share: from one address after another, with requests that are not signed, and one
// user after another who makes more links of calls than an hour allows.
import type { Random } from '../../../test/helpers/random.ts'
import type { Answer, Caller } from '../caller.ts'
import { judgeEarly } from '../judge.ts'
import { type Hit, type Ledger, type Limited, type Login, limitOf, type Person } from '../ledger.ts'
import type { Stage } from '../stage.ts'
import type { People } from './people.ts'

const UNSIGNED = { limit: 60, windowMs: 60_000 }
const LINKS = { limit: 60, windowMs: 3_600_000 }
/** So long one address, or one user, is greedy; an address comes back after all others. */
const SPREE_MS = 50_000
const ADDRESSES = 3
const LINK_SPREE_MS = 300_000

export interface Greedy {
  unsigned(): Promise<void>
  link(): Promise<void>
}

export interface GreedyParts {
  ledger: Ledger
  caller: Caller
  people: People
  random: Random
  gapBetween: Stage['gapBetween']
}

export function createGreedy({ ledger, caller, people, random, gapBetween }: GreedyParts): Greedy {
  const startedAtMs = Date.now()
  let linker: { person: Person; login: Login } | undefined

  function note(limited: Limited, sentAtMs: number, answer: Answer | undefined): void {
    const receivedAtMs = answer?.receivedAtMs ?? Date.now()
    // Two containers that are both up count apart, and that is said.
    const isUnsure = answer === undefined || gapBetween(sentAtMs, receivedAtMs) === 'redeploy'
    const outcome = isUnsure ? 'unknown' : answer.status === 429 ? 'refused' : 'allowed'
    const hit: Hit = { sentAtMs, receivedAtMs, outcome }
    limited.hits.push(hit)
    ledger.add(judgeEarly(limited, hit), `${limited.name} ${limited.who}`)
  }

  async function newLinker() {
    const person: Person = {
      userId: `telegram:${8_000_000 + ledger.people.length}`,
      logins: [],
      alerts: new Map(),
      unsureAlerts: 0,
      turn: Promise.resolve(),
    }
    const login = await people.logIn(person)
    return login && { person, login }
  }

  return {
    async unsigned() {
      const spree = Math.floor((Date.now() - startedAtMs) / SPREE_MS)
      const who = `203.0.113.${spree % ADDRESSES}`
      const sentAtMs = Date.now()
      const answer = await caller.ask({
        name: 'unsigned request',
        path: '/api/webhooks/soak',
        method: 'POST',
        headers: { 'x-forwarded-for': who },
        expected: [401, 429],
      })
      note(limitOf(ledger, 'unsigned', who, UNSIGNED), sentAtMs, answer)
    },

    async link() {
      const isOver = linker && Date.now() - linker.login.sentAtMs > LINK_SPREE_MS
      if (!linker || (isOver && random.chance(0.5))) {
        linker = await newLinker()
        if (linker) ledger.people.push(linker.person)
        if (!linker) return
      }
      const { person, login } = linker
      const sentAtMs = Date.now()
      const answer = await caller.ask({
        name: 'make a link',
        path: '/api/calls',
        method: 'POST',
        headers: { cookie: login.cookie },
        body: '{}',
        expected: [201, 429],
      })
      note(limitOf(ledger, 'links', person.userId, LINKS), sentAtMs, answer)
    },
  }
}
