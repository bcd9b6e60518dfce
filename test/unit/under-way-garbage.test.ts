// What belongs to a request goes with it. A WeakMap that has become old keeps its values, here whole requests, until old
// space is collected: a collection of young space alone must get rid of them.
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createRequestsUnderWay, underWayOf } from '../../src/http/admission/under-way.ts'

const REQUESTS = 1_000
const PARTS = 2_000 // of 8 bytes

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (options?: { type: 'minor' | 'major' }) => void

function answerOne(requests: ReturnType<typeof createRequestsUnderWay>): void {
  const req = { socket: {}, headers: {}, parts: Array(PARTS).fill(0.5) } as unknown as IncomingMessage
  const res = Object.assign(new EventEmitter(), { req }) as unknown as ServerResponse
  const client = { address: '203.0.113.7', network: undefined, isPrivate: false }
  expect(requests.begin(req, res, client, false)).toBeUndefined()
  expect(underWayOf(req)).toBeDefined()
  res.emit('close')
}

test('requests that have been answered are gone when young space has been collected', () => {
  const requests = createRequestsUnderWay(() => true)
  answerOne(requests)
  for (let i = 0; i < 3; i += 1) collect() // what is kept for good is old from here on
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < REQUESTS; i += 1) answerOne(requests)
  for (let i = 0; i < 3; i += 1) collect({ type: 'minor' })
  expect(process.memoryUsage().heapUsed - before).toBeLessThan((REQUESTS * PARTS * 8) / 4)
})
