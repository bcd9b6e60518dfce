// samovar/keyv: Keyv's own suite, in memory and over Redis; and Keyv itself while Redis is killed, frozen and emptied.
import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite'
import { Keyv } from 'keyv'
import { createKeyvStore } from '../../src/adapters/keyv.ts'
import { eventually } from '../helpers/eventually.ts'
import { breakRedis, faults, mendRedis, soon, usePackageWorld } from '../helpers/package-world.ts'

const world = usePackageWorld({ perFile: true })

// The suite is written for vitest, whose tests are given `expect`.
const runner = {
  beforeEach,
  afterEach,
  it: (name: string, run: (t: { expect: typeof expect }) => unknown) =>
    void test(name, async () => void (await run({ expect }))),
}

describe.each(['memory', 'redis'] as const)('Keyv’s own suite, %s', (where) => {
  let samovar: Awaited<ReturnType<typeof world.open>>
  beforeAll(async () => {
    samovar = await world.open(where === 'memory' ? { redis: undefined } : {})
  })
  keyvTestSuite(runner as never, Keyv as never, () => createKeyvStore(samovar))
  keyvIteratorTests(runner as never, Keyv as never, () => createKeyvStore(samovar))
})

describe.each(faults)('Redis %s', (fault) => {
  test('is a miss at worst, and what was overwritten or deleted does not come back', async () => {
    const prefix = `${fault}:`
    const samovar = await world.open({ prefix })
    const keyv = new Keyv({ store: createKeyvStore(samovar), throwOnErrors: true })
    await keyv.set('kept', 1)
    await keyv.set('changed', 'old')
    await keyv.set('deleted', 'old')
    await breakRedis(world.redis, fault)
    if (fault !== 'emptied') expect(await soon(() => keyv.get('kept'))).toBe(1)
    await soon(() => keyv.set('changed', 'new'))
    expect(await soon(() => keyv.get('changed'))).toBe('new')
    await soon(() => keyv.delete('deleted'))
    expect(await soon(() => keyv.get('deleted'))).toBeUndefined()
    await mendRedis(world.redis, fault)
    await world.untilBack(samovar)
    const other = new Keyv({ store: createKeyvStore(await world.open({ prefix })) })
    expect(await keyv.get('changed')).not.toBe('old')
    await eventually(async () => expect(await other.get('changed')).not.toBe('old'))
    await eventually(async () => expect(await other.get('deleted')).toBeUndefined())
    // Redis may be doubted for a moment yet: then a value is set in memory alone.
    await eventually(async () => {
      await keyv.set('changed', 'newest')
      expect(await other.get('changed')).toBe('newest')
    })
  })
})
