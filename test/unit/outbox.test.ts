import type { OutboxJob } from '../../src/core/queue/outbox.ts'
import { createOutbox } from '../../src/core/queue/outbox.ts'
import { recordLog } from '../helpers/log.ts'

const job = (id: number, place: OutboxJob['place']): OutboxJob => ({
  name: 'a',
  id: `${id}`,
  data: null,
  attempts: 1,
  backoffMs: 1,
  addedAtMs: 0,
  dueAtMs: 0,
  failed: 0,
  place,
})

test('a full outbox spares copies of what Redis has, and then refuses', () => {
  const outbox = createOutbox(recordLog().log)
  for (let i = 0; i < 10_000; i += 1) outbox.put(job(i, i === 5 ? 'redis' : 'here'))
  outbox.put(job(10_000, 'redis'))
  expect(outbox.get({ name: 'a', id: '10000' })).toBeUndefined()
  outbox.put(job(10_001, 'here'))
  expect(outbox.get({ name: 'a', id: '5' })).toBeUndefined()
  expect(() => outbox.put(job(10_002, 'here'))).toThrow(expect.objectContaining({ code: 'state_full' }))
  outbox.put({ ...job(1, 'here'), failed: 1 })
  expect(outbox.jobs()).toHaveLength(10_000)
})
