import { RedisUnavailable } from '../../src/core/errors.ts'
import { createReads, MOST_READS } from '../../src/core/redis/batched-reads.ts'

test('reads beyond the bound are rejected as slow, and accepted again once there is an answer', async () => {
  let answer = (): void => {}
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  const read = createReads({
    call: async <T>(): Promise<T> => {
      await answered
      return [] as T
    },
  })
  const reads = Array.from({ length: MOST_READS }, (_, i) => read(`key:${i}`))
  const refused = await read('one more').catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(RedisUnavailable)
  expect(refused).toMatchObject({ reason: 'slow' })
  answer()
  expect(new Set(await Promise.all(reads))).toEqual(new Set([undefined]))
  expect(await read('one more')).toBeUndefined()
})
