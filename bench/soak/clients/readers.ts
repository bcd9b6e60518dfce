// Readers of what is cached, and the admin who clears it: what is read after a clear was fetched after it.
import type { Random } from '../../../test/helpers/random.ts'
import type { Caller } from '../caller.ts'
import { judgeCleared } from '../judge.ts'
import type { Ledger } from '../ledger.ts'
import { ADMIN_TOKEN } from '../stage.ts'

const PATHS = ['/api/countries?lang=en', '/api/countries?lang=ru', '/api/countries/DE?lang=ru', '/markets']

export interface Readers {
  read(random: Random): Promise<void>
  readPrices(): Promise<void>
  readHistory(): Promise<void>
  clear(random: Random): Promise<void>
}

export function createReaders(ledger: Ledger, caller: Caller): Readers {
  const readers: Readers = {
    async read(random) {
      const dice = random.below(100)
      if (dice < 30) await readers.readPrices()
      else if (dice < 60) await readers.readHistory()
      else await caller.ask({ name: 'cached read', path: random.pick(PATHS) })
    },

    async readPrices() {
      const { clearedAtMs } = ledger
      const answer = await caller.ask({ name: 'prices', path: '/api/coins?vs=usd&perPage=20' })
      if (!answer) return
      const { coins } = JSON.parse(answer.text) as { coins: { fetchedAt: string }[] }
      const fetchedAtMs = Math.min(...coins.map(({ fetchedAt }) => Date.parse(fetchedAt)))
      ledger.add(judgeCleared(fetchedAtMs, clearedAtMs), `prices ${clearedAtMs}`)
    },

    async readHistory() {
      const { clearedAtMs } = ledger
      const path = '/api/coins/bitcoin/history?vs=usd&days=7'
      const answer = await caller.ask({ name: 'history of a price', path })
      if (!answer) return
      const { fetchedAt } = JSON.parse(answer.text) as { fetchedAt: string }
      ledger.add(judgeCleared(Date.parse(fetchedAt), clearedAtMs), `history ${clearedAtMs}`)
    },

    async clear(random) {
      const sentAtMs = Date.now()
      const answer = await caller.ask({
        name: 'clear',
        path: '/api/cache/clear',
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        body: JSON.stringify(random.pick([{}, { tag: 'coins' }])),
      })
      if (!answer) return
      ledger.clearedAtMs = Math.max(ledger.clearedAtMs, sentAtMs)
      ledger.clears.acknowledged += 1
    },
  }
  return readers
}
