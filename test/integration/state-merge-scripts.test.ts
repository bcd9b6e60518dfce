// Each merge script in Redis is equal to its pure function, and each function may be run in any order, any number of
// times.
import { randomUUID } from 'node:crypto'
import { createKeyKinds } from '../../src/core/keys.ts'
import { connectRedis } from '../../src/core/redis/connection.ts'
import { membersOf } from '../../src/core/state/kinds/expiring-set.ts'
import { claimOf } from '../../src/core/state/kinds/first-write-wins-register.ts'
import { mergeEntries, type StateValue, type VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { lwwRegisterOf } from '../../src/core/state/kinds/lww-register.ts'
import { entriesOf } from '../../src/core/state/kinds/sliding-window-log.ts'
import { createRedisStateStore } from '../../src/core/state/redis-state-store.ts'
import { createRandom, type Random } from '../helpers/random.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { declaredKeys, targetOf } from '../helpers/stores.ts'

const ROUNDS = 300
const STEP_MS = 60_000 // between two ends: Redis is told what is left, so that one may be a little off when it is read
const FIRST_END = 66_666_667 // steps since the epoch
let redis: TestRedis
let connection: ReturnType<typeof connectRedis>
beforeAll(async () => {
  redis = await startRedis()
  connection = connectRedis({
    target: targetOf(redis.url),
    ca: undefined,
    budgetMs: 5_000,
    trackPrefix: undefined,
  })
  await connection.open()
})
afterAll(async () => {
  connection.close()
  await redis.stop()
})

const timestamp = (random: Random) =>
  `${String(1_000_000 + random.below(5)).padStart(16, '0')}.${random.pick(['aa', 'bb', 'cc'])}`

const makers: Record<string, (random: Random, key: string) => StateValue> = {
  // Two processes may have made two values of one time: then their checksums decide.
  session(random, key) {
    const made = timestamp(random)
    const bytes = made.endsWith('cc') ? undefined : Buffer.from(`${random.below(2)} of ${made}`)
    return lwwRegisterOf(key, { timestamp: made, bytes })
  },
  webhook(random, key) {
    const made = timestamp(random)
    return claimOf(key, made, Buffer.from(`${random.below(2)} of ${made}`))
  },
  revoked: (random) => ({ kind: 'max-register', number: random.below(6) }),
  sessions(random, key) {
    const numbers = new Set(Array.from({ length: 1 + random.below(250) }, () => random.below(300)))
    const members = [...numbers].map((n) => ({ id: `m${n}`, untilMs: 2_000_000_000_000 + random.below(50) }))
    return membersOf(key, members)
  },
  // Now and then so many fields that of two of them some are folded.
  generations(random) {
    const [count, most] = random.chance(0.05) ? [900, 3_000] : [random.below(6), 9]
    const all = random.below(most / 3)
    const fields = Array.from({ length: count }, (): [string, number] => [
      `tag:${random.below(most)}`,
      all + 1 + random.below(most),
    ])
    const top = Math.max(all, ...fields.map(([, number]) => number))
    return { kind: 'max-register-map', fields: new Map([...fields, ['all', all], ['top', top]]) }
  },
  limit: (random, key) => ({
    kind: 'sliding-window-log',
    hits: Array.from({ length: 1 + random.below(4) }, () => random.below(8)).flatMap((n) =>
      entriesOf(key, { id: `h${n}`, nowMs: 1_000 + n }),
    ),
  }),
}

const kept = (value: StateValue, random: Random): VersionedEntry => ({
  value,
  expiresAtMs: (FIRST_END + random.below(3)) * STEP_MS,
})

/** Comparable: logs and members as sets, bytes as text, ends as steps. */
function plain(version: VersionedEntry | undefined) {
  if (!version) return undefined
  const { value } = version
  if (value.kind === 'max-register-map') {
    // A number of 0 says what no number says.
    const fields = [...value.fields].filter(([, number]) => number > 0).sort()
    return fields.length > 0 ? { fields } : undefined
  }
  const expiresAtMs = Math.round(version.expiresAtMs / STEP_MS) * STEP_MS
  if (value.kind === 'sliding-window-log')
    return { expiresAtMs, hits: [...new Set(value.hits.map(({ id, atMs }) => `${id}@${atMs}`))].sort() }
  if (value.kind === 'expiring-set')
    return { expiresAtMs, members: value.members.map(({ id, untilMs }) => `${id}@${untilMs}`).sort() }
  return { expiresAtMs, ...value, ...('bytes' in value && { bytes: value.bytes?.toString('latin1') }) }
}

describe.each(Object.keys(makers))('%s', (kind) => {
  const make = makers[kind] as (random: Random, key: string) => StateValue

  test('the function is commutative, associative and idempotent', () => {
    const random = createRandom(1)
    for (let i = 0; i < 2_000; i += 1) {
      const [a, b, c] = [1, 2, 3].map(() => kept(make(random, `${kind}:1`), random)) as [
        VersionedEntry,
        VersionedEntry,
        VersionedEntry,
      ]
      const at = `round ${i}`
      expect([at, plain(mergeEntries(a, b))]).toEqual([at, plain(mergeEntries(b, a))])
      expect([at, plain(mergeEntries(a, mergeEntries(b, c)))]).toEqual([
        at,
        plain(mergeEntries(mergeEntries(a, b), c)),
      ])
      expect([at, plain(mergeEntries(a, mergeEntries(a, b)))]).toEqual([at, plain(mergeEntries(a, b))])
    }
  })

  test('the script does what the function does', async () => {
    const random = createRandom(2)
    const store = createRedisStateStore({
      connection,
      prefix: 'p:',
      kindOf: createKeyKinds(declaredKeys),
      isShared: true,
    })
    for (let i = 0; i < ROUNDS; i += 1) {
      const key = `${kind}:${randomUUID()}`
      const versions = Array.from({ length: 1 + random.below(4) }, () => kept(make(random, key), random))
      for (const version of versions) await store.merge([[key, version]])
      const [there] = await store.read([key])
      const expected = versions.reduce((a, b) => mergeEntries(a, b))
      expect([`round ${i}`, plain(there)]).toEqual([`round ${i}`, plain(expected)])
    }
  })
})
