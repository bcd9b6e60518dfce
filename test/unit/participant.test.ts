import { createParticipant, inOrder } from '../../src/core/participant.ts'
import type { StateDisk } from '../../src/core/state/disk/state-disk.ts'

function noting() {
  const steps: string[] = []
  const part = (name: string, waiting: number) =>
    createParticipant({
      load: () => void steps.push(`${name} load`),
      persist: () => void steps.push(`${name} persist`),
      cut: () => void steps.push(`${name} cut`),
      left: () => void steps.push(`${name} left`),
      merge: async (returned) => void steps.push(`${name} merge ${returned}`),
      isPending: () => waiting > 0,
      pending: () => waiting,
      returned: () => void steps.push(`${name} returned`),
    })
  const all = inOrder([part('a', 0), createParticipant({}), part('b', 2), part('c', 3)])
  return { all, steps }
}

test('each step is taken by all, in their order', async () => {
  const { all, steps } = noting()
  all.load({} as StateDisk)
  all.cut()
  all.left()
  await all.merge('older')
  all.returned()
  all.persist()
  const each = (step: string) => ['a', 'b', 'c'].map((name) => `${name} ${step}`)
  expect(steps).toEqual(['load', 'cut', 'left', 'merge older', 'returned', 'persist'].flatMap(each))
  expect([all.isPending(), all.pending()]).toEqual([true, 5])
})

test('while Redis is asked only those are merged who have something for it', async () => {
  const { all, steps } = noting()
  await all.merge(undefined)
  expect(steps).toEqual(['b merge undefined', 'c merge undefined'])
})

test('a cut is for each what leaving Redis is, unless it says otherwise', () => {
  const steps: string[] = []
  createParticipant({ left: () => void steps.push('left') }).cut()
  createParticipant({ left: () => void steps.push('left'), cut: () => void steps.push('cut') }).cut()
  expect(steps).toEqual(['left', 'cut'])
})
