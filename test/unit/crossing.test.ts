// When an alert rings: a table of cases, and random series against a second, naive telling of the same rules.
import { BAND, evaluate, NEW_WATCH, type Rule, type Watch } from '../../src/features/alerts/crossing.ts'
import { createRandom, type Random } from '../helpers/random.ts'

const MINUTE = 60_000

const rule = (given: Partial<Rule>): Rule => ({
  when: 'above',
  value: 100,
  cooldownMs: 0,
  expiresAtMs: undefined,
  ...given,
})

/** At which of these prices, a minute apart, it rings. */
function rings(asked: Rule, prices: readonly number[]): number[] {
  let watch: Watch = NEW_WATCH
  return prices.flatMap((price, i) => {
    const { watch: next, triggers } = evaluate(asked, watch, price, i * MINUTE)
    watch = next
    return triggers ? [i] : []
  })
}

test.each<[string, Partial<Rule>, number[], number[]]>([
  ['reaches the line', {}, [99, 100], [1]],
  ['jumps over the line', {}, [50, 150], [1]],
  ['is past the line at the first look', {}, [101, 102, 103], []],
  ['is past at first, comes back and crosses', {}, [101, 99, 101], [2]],
  ['sits on the line', {}, [99, 100, 99.9, 100.1, 99.6, 100], [1]],
  ['leaves the band and crosses again', {}, [99, 100, 99.4, 100], [1, 3]],
  ['touches the edge of the band only', {}, [99, 100, 99.5, 100], [1]],
  ['never reaches it', {}, [99, 99.99, 98], []],
  ['falls to the line', { when: 'below' }, [101, 100], [1]],
  ['sits on the line from above', { when: 'below' }, [101, 100, 100.4, 99.9, 100.49, 100], [1]],
  ['leaves the band upwards', { when: 'below' }, [101, 100, 100.6, 100], [1, 3]],
  ['is below at the first look', { when: 'below' }, [99, 98], []],
  ['crosses while it cools down', { cooldownMs: 5 * MINUTE }, [99, 100, 99, 100, 99, 100], [1]],
  ['crosses after it has cooled down', { cooldownMs: 4 * MINUTE }, [99, 100, 99, 100, 99, 100], [1, 5]],
  [
    'stays past the line when the cooldown ends',
    { cooldownMs: 3 * MINUTE },
    [99, 100, 99, 100, 100, 100],
    [1],
  ],
  ['crosses as it expires', { expiresAtMs: MINUTE }, [99, 100], []],
  ['crosses before it expires', { expiresAtMs: MINUTE + 1 }, [99, 100], [1]],
  ['changes upwards', { when: 'changes', value: 10 }, [100, 109.9, 110, 120, 121], [2, 4]],
  ['changes downwards', { when: 'changes', value: 10 }, [100, 90.1, 90, 81], [2, 3]],
  ['changes to and fro', { when: 'changes', value: 10 }, [100, 105, 95, 104, 96], []],
  [
    'changes while it cools down',
    { when: 'changes', value: 10, cooldownMs: 2 * MINUTE },
    [100, 110, 130, 130],
    [1, 3],
  ],
  ['changes from nothing', { when: 'changes', value: 10 }, [0, 0.1], [1]],
])('a price that %s', (_name, given, prices, expected) => {
  expect(rings(rule(given), prices)).toEqual(expected)
})

test('a look that changes nothing gives the same object', () => {
  const { watch } = evaluate(rule({}), NEW_WATCH, 99, 0)
  expect(evaluate(rule({}), watch, 99.5, MINUTE).watch).toBe(watch)
})

/** The rules once more, from the whole series at once: from each ring it looks for the next one. */
function naive(
  { when, value, cooldownMs, expiresAtMs = Number.POSITIVE_INFINITY }: Rule,
  prices: number[],
): number[] {
  const found: number[] = []
  const last = prices.filter((_, i) => i * MINUTE < expiresAtMs).length
  const isCool = (i: number) =>
    found.length === 0 || i * MINUTE >= (found.at(-1) as number) * MINUTE + cooldownMs
  if (when === 'changes') {
    for (let i = 1; i < last; i += 1) {
      const from = prices[found.at(-1) ?? 0] as number
      if (Math.abs((prices[i] as number) - from) * 100 >= value * from && isCool(i)) found.push(i)
    }
    return found
  }
  const mirror = when === 'above' ? 1 : -1
  const isPast = (price: number) => mirror * price >= mirror * value
  const isBehind = (price: number) => mirror * price < mirror * value * (1 - mirror * BAND)
  // Crossings are where the price is past, and since it was past the last time it has been behind the band.
  let lastPast = -1
  for (let i = 0; i < last; i += 1) {
    if (!isPast(prices[i] as number)) continue
    const between = prices.slice(lastPast + 1, i)
    const isCrossing = lastPast < 0 ? i > 0 : between.some(isBehind)
    if (isCrossing && isCool(i)) found.push(i)
    lastPast = i
  }
  return found
}

function walk(random: Random): number[] {
  let price = 90 + random.below(20)
  return Array.from({ length: 60 }, () => {
    price += (random.below(2_001) - 1_000) / (random.chance(0.2) ? 200 : 2_000)
    return Number(price.toFixed(2))
  })
}

test('random series ring where the naive telling says', () => {
  const seed = Date.now()
  const random = createRandom(seed)
  let rung = 0
  for (let i = 0; i < 3_000; i += 1) {
    const when = random.pick(['above', 'below', 'changes'] as const)
    const asked = rule({
      when,
      value: when === 'changes' ? 1 + random.below(5) : 95 + random.below(11),
      cooldownMs: random.chance(0.5) ? 0 : random.below(20) * MINUTE,
      expiresAtMs: random.chance(0.8) ? undefined : random.below(60) * MINUTE,
    })
    const prices = walk(random)
    const found = rings(asked, prices)
    rung += found.length
    expect({ seed, i, found }).toEqual({ seed, i, found: naive(asked, prices) })
  }
  expect(rung).toBeGreaterThan(1_000)
})
