// A user whose server is slow gets one delivery at a time; so many users are remembered.
import { createPaceUsers } from '../../src/features/alerts/delivery/pace-users.ts'
import { createClock } from '../helpers/clock.ts'

test('the user who was slow first is forgotten when ten thousand others are', async () => {
  const clock = createClock()
  const pace = createPaceUsers(clock.now)
  const beSlow = (userId: string) => pace(userId, async () => clock.turn(2_001))
  /** Whether a second delivery may begin beside one of the same user. */
  const isPaced = (userId: string) =>
    pace(userId, async () => (await pace(userId, async () => 'begun')) === undefined)
  await beSlow('first')
  await beSlow('second')
  for (let i = 0; i < 9_999; i += 1) await beSlow(`${i}`)
  expect([await isPaced('first'), await isPaced('second'), await isPaced('9998')]).toEqual([
    false,
    true,
    true,
  ])
})
