// One channel in this process, where a message may have had another place before.
import { randomUUID } from 'node:crypto'
import type { BusMessage } from '../../src/core/bus/bus.ts'
import { createLocalChannel } from '../../src/core/bus/local-channel.ts'
import { createMessageLog } from '../../src/core/bus/message-log.ts'
import { recordLog } from '../helpers/log.ts'

const EPOCH = 'of Redis'

test('who comes back for what it may have had elsewhere in the order is not told that it has recovered', () => {
  const { log } = recordLog()
  const local = createLocalChannel('call:x', {
    log,
    now: Date.now,
    messageLog: createMessageLog({ now: Date.now }),
  })
  const draft = (data: string) => ({ id: randomUUID(), data, atMs: Date.now() })
  const at = (offset: number, message: ReturnType<typeof draft>): BusMessage => ({
    ...message,
    channel: 'call:x',
    epoch: EPOCH,
    offset,
  })
  const [own, others] = [draft('said here while Redis was away'), draft('said elsewhere')]
  local.append(own)
  local.resync({ epoch: EPOCH, offset: 1, messages: [at(1, others)] })
  const since = local.position()
  local.apply({ epoch: EPOCH, offset: 2, messages: [at(2, own)] })

  const back = local.subscribe({ message() {}, gap() {} }, since)
  expect(back.missed.map(({ data }) => data)).toEqual([own.data])
  expect(back.recovered).toBe(false)
  const later = local.subscribe({ message() {}, gap() {} }, local.position())
  expect([later.missed, later.recovered]).toEqual([[], true])
})
