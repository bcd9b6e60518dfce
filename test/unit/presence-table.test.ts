// Who is in a channel as far as one process knows, from answers and notices that overtake each other.

import { createPresenceTable } from '../../src/core/bus/presence-table.ts'
import {
  type Notice,
  PRESENCE_LEASE_MS,
  type PresenceReply,
  type RemoteMember,
} from '../../src/core/bus/redis-presence.ts'
import { createClock } from '../helpers/clock.ts'

function open() {
  const { now, turn } = createClock()
  const told: string[] = []
  const table = createPresenceTable({
    node: 'here',
    now,
    notify: (_channel, news, { id }) => told.push(`${news} ${id}`),
  })
  const presence = table.open('call')
  return { presence, told, turn, ids: () => presence.all().map(({ id }) => id) }
}

const member = (id: string, node = 'there'): RemoteMember => ({
  id,
  info: null,
  node,
  restMs: PRESENCE_LEASE_MS,
})
const notice = (kind: Notice['kind'], id: string, node?: string): Notice => ({
  kind,
  member: member(id, node),
})
const answer = (...ids: string[]): Promise<PresenceReply> =>
  Promise.resolve({ isIn: true, members: ids.map((id) => member(id)) })

test('who is found in the first answer is no news; later differences are, whoever comes first with them', async () => {
  const { presence, told, ids } = open()
  await presence.reconcile(answer('a', 'b'))
  expect(told).toEqual([])
  presence.apply(notice('lost', 'a'))
  await presence.reconcile(answer('b'))
  await presence.reconcile(answer('c'))
  presence.apply(notice('lost', 'b'))
  presence.apply(notice('back', 'c'))
  expect(told).toEqual(['lost a', 'lost b', 'back c'])
  expect(ids()).toEqual(['c'])
})

test('entering and leaving are no news', () => {
  const { presence, told, ids } = open()
  presence.apply(notice('in', 'a'))
  expect(ids()).toEqual(['a'])
  presence.apply(notice('out', 'a'))
  expect([ids(), told]).toEqual([[], []])
})

test('what is told while Redis is asked is not undone by its answer', async () => {
  const { presence, told, ids } = open()
  await presence.reconcile(answer('a', 'b'))
  const learned = presence.reconcile(answer('a', 'b'))
  presence.apply(notice('in', 'c'))
  presence.apply(notice('lost', 'a'))
  await learned
  expect([ids(), told]).toEqual([['b', 'c'], ['lost a']])
})

test('a notice of where a member was before does not take it out of where it is', async () => {
  const { presence, ids } = open()
  await presence.reconcile(answer('a'))
  presence.apply(notice('lost', 'a', 'elsewhere'))
  expect(ids()).toEqual(['a'])
})

test('what is told of a member of ours, Redis is asked about', () => {
  const { presence, ids } = open()
  presence.enter({ id: 'a', info: null })
  expect(presence.apply(notice('in', 'a', 'here'))).toBe(false)
  expect(presence.apply(notice('in', 'a'))).toBe(true)
  expect(presence.apply(notice('lost', 'a', 'here'))).toBe(true)
  expect(ids()).toEqual(['a'])
  presence.leave('a')
  expect(presence.apply(notice('out', 'a', 'here'))).toBe(false)
  expect(ids()).toEqual([])
})

test('others are there until their lease ends, and are missed when Redis has them no more', async () => {
  const { presence, told, turn, ids } = open()
  await presence.reconcile(answer('a'))
  turn(PRESENCE_LEASE_MS - 1)
  expect(ids()).toEqual(['a'])
  turn(1)
  expect([ids(), told]).toEqual([[], []])
  await presence.reconcile(answer())
  expect(told).toEqual(['lost a'])
})

test('who has left is remembered for a lease', () => {
  const { presence, turn } = open()
  presence.enter({ id: 'a', info: null })
  presence.leave('a')
  expect([presence.departed(), presence.isNeeded(false)]).toEqual([['a'], true])
  turn(PRESENCE_LEASE_MS)
  expect([presence.departed(), presence.isNeeded(false)]).toEqual([[], false])
})
