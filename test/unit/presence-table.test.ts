// Who is in a channel as far as one process knows, from answers and notices that overtake each other.

import { createRolls } from '../../src/core/bus/presence-table.ts'
import type { Notice, Presence, RemoteMember } from '../../src/core/bus/redis-bus.ts'
import { LEASE_MS } from '../../src/core/bus/redis-bus.ts'
import { createClock } from '../helpers/clock.ts'

function open() {
  const { now, turn } = createClock()
  const told: string[] = []
  const rolls = createRolls({
    node: 'here',
    now,
    tell: (_channel, news, { id }) => told.push(`${news} ${id}`),
  })
  const roll = rolls.open('call')
  return { roll, told, turn, ids: () => roll.all().map(({ id }) => id) }
}

const member = (id: string, node = 'there'): RemoteMember => ({ id, info: null, node, restMs: LEASE_MS })
const notice = (kind: Notice['kind'], id: string, node?: string): Notice => ({
  kind,
  member: member(id, node),
})
const answer = (...ids: string[]): Promise<Presence> =>
  Promise.resolve({ isIn: true, members: ids.map((id) => member(id)) })

test('who is found in the first answer is no news; later differences are, whoever comes first with them', async () => {
  const { roll, told, ids } = open()
  await roll.learn(answer('a', 'b'))
  expect(told).toEqual([])
  roll.hear(notice('lost', 'a'))
  await roll.learn(answer('b'))
  await roll.learn(answer('c'))
  roll.hear(notice('lost', 'b'))
  roll.hear(notice('back', 'c'))
  expect(told).toEqual(['lost a', 'lost b', 'back c'])
  expect(ids()).toEqual(['c'])
})

test('entering and leaving are no news', () => {
  const { roll, told, ids } = open()
  roll.hear(notice('in', 'a'))
  expect(ids()).toEqual(['a'])
  roll.hear(notice('out', 'a'))
  expect([ids(), told]).toEqual([[], []])
})

test('what is told while Redis is asked is not undone by its answer', async () => {
  const { roll, told, ids } = open()
  await roll.learn(answer('a', 'b'))
  const learned = roll.learn(answer('a', 'b'))
  roll.hear(notice('in', 'c'))
  roll.hear(notice('lost', 'a'))
  await learned
  expect([ids(), told]).toEqual([['b', 'c'], ['lost a']])
})

test('a notice of where a member was before does not take it out of where it is', async () => {
  const { roll, ids } = open()
  await roll.learn(answer('a'))
  roll.hear(notice('lost', 'a', 'elsewhere'))
  expect(ids()).toEqual(['a'])
})

test('what is told of a member of ours, Redis is asked about', () => {
  const { roll, ids } = open()
  roll.enter({ id: 'a', info: null })
  expect(roll.hear(notice('in', 'a', 'here'))).toBe(false)
  expect(roll.hear(notice('in', 'a'))).toBe(true)
  expect(roll.hear(notice('lost', 'a', 'here'))).toBe(true)
  expect(ids()).toEqual(['a'])
  roll.leave('a')
  expect(roll.hear(notice('out', 'a', 'here'))).toBe(false)
  expect(ids()).toEqual([])
})

test('others are there until their lease ends, and are missed when Redis has them no more', async () => {
  const { roll, told, turn, ids } = open()
  await roll.learn(answer('a'))
  turn(LEASE_MS - 1)
  expect(ids()).toEqual(['a'])
  turn(1)
  expect([ids(), told]).toEqual([[], []])
  await roll.learn(answer())
  expect(told).toEqual(['lost a'])
})

test('who has left is remembered for a lease', () => {
  const { roll, turn } = open()
  roll.enter({ id: 'a', info: null })
  roll.leave('a')
  expect([roll.left(), roll.isNeeded(false)]).toEqual([['a'], true])
  turn(LEASE_MS)
  expect([roll.left(), roll.isNeeded(false)]).toEqual([[], false])
})
