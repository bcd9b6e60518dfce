// One channel in this process, where a message may have had another place before.
import { randomUUID } from 'node:crypto'
import type { BusMessage } from '../../src/core/bus/bus.ts'
import { createLine } from '../../src/core/bus/channel.ts'
import { createHistories } from '../../src/core/bus/histories.ts'
import { recordLog } from '../helpers/log.ts'

const EPOCH = 'of Redis'

test('who comes back for what it may have had elsewhere in the order is not told that it has recovered', () => {
  const { log } = recordLog()
  const line = createLine('call:x', { log, now: Date.now, histories: createHistories(Date.now) })
  const draft = (data: string) => ({ id: randomUUID(), data, atMs: Date.now() })
  const at = (offset: number, message: ReturnType<typeof draft>): BusMessage => ({
    ...message,
    channel: 'call:x',
    epoch: EPOCH,
    offset,
  })
  const [own, others] = [draft('said here while Redis was away'), draft('said elsewhere')]
  line.append(own)
  line.adopt({ epoch: EPOCH, offset: 1, messages: [at(1, others)] })
  const since = line.position()
  line.accept({ epoch: EPOCH, offset: 2, messages: [at(2, own)] })

  const back = line.subscribe({ message() {}, gap() {} }, since)
  expect(back.missed.map(({ data }) => data)).toEqual([own.data])
  expect(back.recovered).toBe(false)
  const later = line.subscribe({ message() {}, gap() {} }, line.position())
  expect([later.missed, later.recovered]).toEqual([[], true])
})
