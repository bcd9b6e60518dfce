// samovar/unstorage: unstorage itself, and cached functions as Nitro's (ocache is what it makes them of), while Redis is
// killed, frozen and emptied.
import { createBlobStorage, defineCachedFunction } from 'ocache'
import { createStorage } from 'unstorage'
import { createStorageDriver } from '../../src/adapters/unstorage.ts'
import { breakRedis, faults, mendRedis, soon, usePackageWorld } from '../helpers/package-world.ts'

const world = usePackageWorld()

test.each(['memory', 'redis'] as const)('each method, %s', async (where) => {
  const samovar = await world.open(where === 'memory' ? { redis: undefined } : {})
  const driver = createStorageDriver(samovar)
  const storage = createStorage({ driver })
  const other = createStorage({ driver: createStorageDriver(samovar, { base: 'other' }) })
  await storage.setItem('a:text', 'words')
  await storage.setItem('a:object', { of: ['json', 1] })
  await storage.setItemRaw('b:bytes', Buffer.from([0, 255]))
  await other.setItem('a:text', 'of another')
  expect(await storage.getItem('a:text')).toBe('words')
  expect(await storage.getItem('a:object')).toEqual({ of: ['json', 1] })
  expect(Buffer.from((await storage.getItemRaw('b:bytes')) as Buffer)).toEqual(Buffer.from([0, 255]))
  expect(await storage.getItem('nobody')).toBeNull()
  expect(await storage.hasItem('a:text')).toBe(true)
  expect((await storage.getKeys()).sort()).toEqual(['a:object', 'a:text', 'b:bytes'])
  expect((await storage.getKeys('a')).sort()).toEqual(['a:object', 'a:text'])
  await storage.setItems([
    { key: 'c:one', value: 1 },
    { key: 'c:two', value: 2, options: { ttl: 0 } },
  ])
  expect(await storage.getItems(['c:one', 'c:two'])).toEqual([
    { key: 'c:one', value: 1 },
    { key: 'c:two', value: 2 },
  ])
  await storage.removeItem('a:text')
  expect(await storage.hasItem('a:text')).toBe(false)
  // unstorage 1.17 asks a driver to clear what is below a base only where it is mounted there or deeper.
  for (const base of ['a:', 'c:']) await driver.clear?.(base, {})
  expect(await storage.getKeys()).toEqual(['b:bytes'])
  await storage.clear()
  expect(await storage.getKeys()).toEqual([])
  expect(await other.getItem('a:text')).toBe('of another')
})

test.each(faults)('a cached function answers while Redis is %s', async (fault) => {
  const samovar = await world.open()
  const storage = createStorage({ driver: createStorageDriver(samovar) })
  const blobs = createBlobStorage({
    get: (key) => storage.getItemRaw(key) as Promise<Buffer | null>,
    set: (key, bytes, options) =>
      bytes === null ? storage.removeItem(key) : storage.setItemRaw(key, bytes, options),
  })
  let calls = 0
  const square = defineCachedFunction(
    async (number: number) => {
      calls += 1
      return number * number
    },
    { maxAge: 60, name: `square-${fault}`, getKey: String, storage: blobs },
  )
  expect(await square(3)).toBe(9)
  expect(await square(3)).toBe(9)
  expect(calls).toBe(1)
  await breakRedis(world.redis, fault)
  expect(await soon(() => square(3))).toBe(9)
  expect(await soon(() => square(4))).toBe(16)
  expect(await soon(() => square(4))).toBe(16)
  expect(calls).toBeLessThanOrEqual(3)
  await mendRedis(world.redis, fault)
  await world.untilBack(samovar)
  expect(await square(5)).toBe(25)
})
