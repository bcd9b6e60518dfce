// When reference data is read again.
import { sourceFailed } from '../../src/core/errors.ts'
import { refreshRegularly } from '../../src/features/reference/refresh-regularly.ts'
import { DAY, HOUR, MINUTE } from '../../src/lib/time.ts'

function begin(freshMs: number) {
  const waits: number[] = []
  const rings: (() => void)[] = []
  let fails = false
  let refreshes = 0
  const regularly = refreshRegularly({
    reference: {
      async refresh() {
        refreshes += 1
        if (fails) throw sourceFailed()
        return { refreshed: 1, source: 'postgres' }
      },
    },
    freshMs,
    random: () => 0,
    timer(ms, call) {
      waits.push(ms)
      rings.push(call)
      return () => void rings.splice(rings.indexOf(call), 1)
    },
  })
  return {
    waits,
    refreshes: () => refreshes,
    isSet: () => rings.length > 0,
    close: regularly.close,
    async ring(willFail: boolean) {
      fails = willFail
      rings.shift()?.()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

test('before values are old; a minute after a failure', async () => {
  const regularly = begin(24 * HOUR)
  await regularly.ring(false)
  await regularly.ring(true)
  await regularly.ring(true)
  await regularly.ring(false)
  expect(regularly.waits).toEqual([18 * HOUR, 18 * HOUR, MINUTE, MINUTE, 18 * HOUR])
  regularly.close()
  expect([regularly.isSet(), regularly.refreshes()]).toEqual([false, 4])
})

test('nothing is begun again after the end', async () => {
  const regularly = begin(HOUR)
  const ringing = regularly.ring(false)
  regularly.close()
  await ringing
  expect(regularly.isSet()).toBe(false)
})

test.each([
  [1, MINUTE],
  [1_000 * DAY, 24 * DAY],
])('fresh for %d ms: every %d ms', (freshMs, everyMs) => {
  expect(begin(freshMs).waits).toEqual([everyMs])
})
