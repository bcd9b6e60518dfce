import { createTelegramSilences } from '../../src/features/alerts/delivery/telegram-silences.ts'
import { createClock } from '../helpers/clock.ts'

test('a chat is silent for as long as it was told, and no other', () => {
  const clock = createClock(1_000_000)
  const silences = createTelegramSilences(clock.now)
  silences.refused('a', 5_000)
  expect([silences.leftMs('a'), silences.leftMs('b')]).toEqual([5_000, 0])
  clock.turn(5_000)
  expect(silences.leftMs('a')).toBe(0)
})

test('many chats in a row are the bot, unless one of them was written to in between', () => {
  const clock = createClock(1_000_000)
  const silences = createTelegramSilences(clock.now)
  for (const chat of ['a', 'b', 'c', 'd', 'd', 'd']) silences.refused(chat, 5_000)
  expect(silences.leftMs('other')).toBe(0)
  silences.accepted()
  silences.refused('e', 5_000)
  expect(silences.leftMs('other')).toBe(0)
  for (const chat of ['f', 'g', 'h', 'i']) silences.refused(chat, 7_000)
  expect(silences.leftMs('other')).toBe(7_000)
  clock.turn(7_000)
  expect(silences.leftMs('other')).toBe(0)
  silences.refused('other', 2_000) // still: one was enough to see
  expect(silences.leftMs('another')).toBe(2_000)
})

test('refusals that are minutes apart are no row', () => {
  const clock = createClock(1_000_000)
  const silences = createTelegramSilences(clock.now)
  for (const chat of ['a', 'b', 'c', 'd', 'e', 'f']) {
    silences.refused(chat, 1_000)
    clock.turn(20_000)
  }
  expect(silences.leftMs('other')).toBe(0)
})

test('of too many chats the one that was told first is asked again', () => {
  const clock = createClock(1_000_000)
  const silences = createTelegramSilences(clock.now)
  for (let i = 0; i <= 10_000; i += 1) {
    silences.refused(String(i), 60_000)
    silences.accepted()
  }
  expect([silences.leftMs('0'), silences.leftMs('1'), silences.leftMs('10000')]).toEqual([0, 60_000, 60_000])
})
