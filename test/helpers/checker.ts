// After the fault: what a stranger, a fresh process that was not there, finds in Redis, against the ledger.
import { randomUUID } from 'node:crypto'
import { LIMIT, type Subject } from './subject.ts'
import { countHit, judgeCached, judgeMark, judgeSession, type Ledger } from './traffic.ts'

const AT_ONCE = 100

export async function checkByStranger(stranger: Subject, ledger: Ledger): Promise<void> {
  await each(ledger.sessions, async ([key, entry]) =>
    judgeSession(ledger, key, entry, await stranger.readSession(key)),
  )
  await each(ledger.claims, async ([key]) => {
    if (await stranger.claim(key, randomUUID()))
      ledger.violated('claimedTwice', `${key} was given to a stranger`)
  })
  await each(ledger.hits, async ([key]) => {
    for (let i = 0; i <= LIMIT && (await stranger.hit(key, randomUUID())); i += 1) countHit(ledger, key)
  })
  await each(ledger.marks, async ([key, floor]) => judgeMark(ledger, key, floor, await stranger.marked(key)))
  await each(ledger.floor, async ([key, floor]) => {
    const found = await stranger.readCached(key, async () => String(ledger.source.get(key) ?? 0))
    judgeCached(ledger, key, floor, found)
  })
}

async function each<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const all = [...items]
  for (let i = 0; i < all.length; i += AT_ONCE) await Promise.all(all.slice(i, i + AT_ONCE).map(work))
}
