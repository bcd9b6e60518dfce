// Asks the container for what the ledger says it has acknowledged: some of it at intervals, all of it at the end.
import type { Random } from '../../test/helpers/random.ts'
import type { People } from './clients/people.ts'
import type { Senders } from './clients/senders.ts'
import { MARKET_CALLS_PER_MINUTE } from './fake-market.ts'
import { judgeOverLimit } from './judge.ts'
import { inTurn, type Ledger, type Person } from './ledger.ts'

const SOME_PEOPLE = 8
const SOME_LOGINS = 10
const SOME_DELIVERIES = 15
/** So many people, or deliveries, are asked for at a time. */
const TOGETHER = 6
/** A call that was allowed may be under way for some seconds. */
const MARKET = { name: 'calls of CoinGecko', who: 'all', limit: MARKET_CALLS_PER_MINUTE, windowMs: 45_000 }

export interface CheckParts {
  ledger: Ledger
  people: People
  senders: Senders
  /** When CoinGecko was called. */
  arrivals: () => number[]
}

export interface Check {
  some(random: Random): Promise<void>
  all(): Promise<void>
}

export function createCheck({ ledger, people, senders, arrivals }: CheckParts): Check {
  function limits(): void {
    for (const limited of ledger.limits.values())
      ledger.add(judgeOverLimit(limited), `${limited.name} ${limited.who}`)
    const hits = arrivals().map((atMs) => ({
      sentAtMs: atMs,
      receivedAtMs: atMs,
      outcome: 'allowed' as const,
    }))
    ledger.add(judgeOverLimit({ ...MARKET, hits }), MARKET.name)
  }

  const person = (one: Person, most: number) =>
    inTurn(one, async () => {
      // A copy, because one that turns out to be wrong is taken off the list; those logged in first.
      const logins = one.logins.toSorted((a, b) => Number(b.state === 'in') - Number(a.state === 'in'))
      for (const login of logins.slice(0, most)) await people.look(one, login)
      await people.listAlerts(one)
    })

  return {
    async some(random) {
      limits()
      const deliveries = [...ledger.deliveries.values()]
      for (let i = 0; i < SOME_PEOPLE; i += 1) await person(random.pick(ledger.people), SOME_LOGINS)
      if (deliveries.length === 0) return
      for (let i = 0; i < SOME_DELIVERIES; i += 1) await senders.deliver(random.pick(deliveries))
      await senders.checkList()
    },

    async all() {
      limits()
      await senders.checkList()
      await each(ledger.people, (one) => person(one, Number.POSITIVE_INFINITY))
      await each([...ledger.deliveries.values()], (delivery) => senders.deliver(delivery))
    },
  }
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: TOGETHER }, worker))
}
