// Coins from CoinGecko, within the budget of calls: by name, many to a call, or the largest of a page. A call that is
// too much for the link is made again for less of each coin. Rows that cannot be used are counted and logged.
import type { LoadAsked } from '../../../core/cache/cached.ts'
import { pricesUnavailable } from '../../../errors.ts'
import { FetchFailed } from '../../../http/fetch-json.ts'
import { type Now, SECOND, type StartTimer } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { CallBudget, Purpose } from '../call-budget.ts'
import { type Coin, type Currency, currencies } from '../coin.ts'
import { COINS_A_CALL, type CoinGecko } from '../coingecko.ts'
import { type Brought, createPriceBatch, type Need, type PriceBatch } from '../price-batch.ts'
import { type AnswerSize, createAnswerSizes, isLink, type SizeWanted } from './answer-size.ts'
import type { CoinRows } from './market-rows.ts'

/** A coin that exists: where it comes and another does not, that one was removed, and the answer is no failure. */
const WITNESS = 'bitcoin'
const LIST_PAUSE_MS = 30 * SECOND // where the link is too thin for a list: coins are asked for by name all the while
const MOST_TOLD = 1_000 // ids of bad rows that the log has named
const NAMED = 5 // in a line

export type SourceLog = Pick<Log, 'warn'>

export interface CoinSource {
  load(id: string, vs: Currency, asked: LoadAsked, need: Need): Promise<Coin | undefined>
  largest(vs: Currency, page: number, how: LargestHow): Promise<readonly Coin[]>
  /** Rows that could not be used, since the start. */
  badRows(): number
}

export interface LargestHow {
  readonly generation: number
  readonly purpose: Purpose
  /** An empty answer is a failure: believed, it would make prices 404. */
  readonly mustFind: boolean
}

export interface CoinSourceParts {
  coinGecko: CoinGecko
  budget: Pick<CallBudget, 'spend' | 'isShort'>
  freshMs: number
  now: Now
  timer: StartTimer
  log?: SourceLog
}

interface Asked extends SizeWanted {
  readonly purpose: Purpose
  readonly mustFind: boolean
  readonly isList?: true
}

export function createCoinSource({
  coinGecko,
  budget,
  freshMs,
  now,
  timer,
  log,
}: CoinSourceParts): CoinSource {
  const sizes = createAnswerSizes({
    now,
    onSmaller: (size) =>
      log?.warn(
        { size },
        'CoinGecko: the answer was too large, too slow or cut off: less is asked for, for ten minutes. ' +
          'Prices are current; charts may be missing',
      ),
  })
  const told = new Set<string>()
  let badRows = 0
  let listsPausedUntilMs = 0

  async function call(asked: Asked, ask: (size: AnswerSize) => Promise<CoinRows>): Promise<Brought> {
    const { purpose, mustFind, least, isList = false } = asked
    let size = sizes.fitting(asked)
    async function once(): Promise<Brought> {
      const rows = await ask(size)
      const isBare = rows.coins.length === 0 && (rows.bad.length === 0 || isList)
      if (mustFind && isBare) throw new FetchFailed('malformed')
      note(rows)
      return { ...rows, size }
    }
    return budget.spend(purpose, once, (error) => {
      const smaller = sizes.failed(size, least, error)
      if (smaller === undefined) {
        if (isList && isLink(error)) throw pauseLists()
        return undefined
      }
      size = smaller
      return once
    })
  }

  function pauseLists() {
    listsPausedUntilMs = now() + LIST_PAUSE_MS
    return pricesUnavailable(LIST_PAUSE_MS)
  }

  /** One line for what is new: the same rows are bad every minute. */
  function note({ coins, bad, dropped }: CoinRows): void {
    if (dropped === 0) return
    badRows += dropped
    const newly = bad.filter((id) => !told.has(id))
    if (bad.length > 0 && newly.length === 0) return
    if (told.size > MOST_TOLD) told.clear()
    for (const id of newly) told.add(id)
    log?.warn(
      { badRows: dropped, rows: coins.length + dropped, ids: newly.slice(0, NAMED) },
      'CoinGecko: some rows could not be used, those of the other coins are',
    )
  }

  function createBatch(vs: Currency): PriceBatch {
    return createPriceBatch({
      // Names that are not known to exist leave some of the budget to prices.
      ask: (ids, { isAnyKnown, isKnownWanted }, most) => {
        const isWitnessed = isAnyKnown && ids.length < COINS_A_CALL && !ids.includes(WITNESS)
        const names = isWitnessed ? [...ids, WITNESS] : ids
        const purpose = isKnownWanted ? 'prices' : 'more'
        return call({ purpose, mustFind: isAnyKnown, most, least: 'prices' }, (size) =>
          coinGecko.coins(vs, names, size),
        )
      },
      isShort: budget.isShort,
      freshMs,
      now,
      startTimer: timer,
    })
  }

  const batches = Object.fromEntries(currencies.map((vs) => [vs, createBatch(vs)])) as Record<
    Currency,
    PriceBatch
  >

  return {
    load: (id, vs, asked, need) => batches[vs].load(id, asked, need),
    async largest(vs, page, { generation, purpose, mustFind }) {
      if (now() < listsPausedUntilMs) throw pricesUnavailable(listsPausedUntilMs - now())
      const asked: Asked = { purpose, mustFind, most: 'charts', least: 'rows', isList: true }
      const { coins, size } = await call(asked, (size) =>
        coinGecko.largest(vs, page, size === 'charts' ? size : 'rows'),
      )
      batches[vs].learn(coins, generation, size, 'charts')
      return coins
    },
    badRows: () => badRows,
  }
}
