// A gate that is closed without cutting work in two.
import { asTask, createDrainGate } from '../../src/lib/async/drain-gate.ts'
import { eventually } from '../helpers/eventually.ts'

const LONG_MS = 60_000
const refused = new Error('closed')
const create = (isOpen = true) => createDrainGate(() => refused, isOpen)
const answer = async () => 'answer'
const never = () => new Promise<never>(() => {})

/** A task that stays inside until it is told to end. */
function stayInside(gate: ReturnType<typeof create>) {
  return asTask((end) => ({ end, pass: () => gate.pass(answer), first: gate.pass(answer) }))
}

test('open, a call passes; closed, none does; open again, it does', async () => {
  const gate = create()
  expect([gate.isOpen(), await gate.pass(answer)]).toEqual([true, 'answer'])
  let isClosed = false
  gate.close(LONG_MS, () => {
    isClosed = true
  })
  expect([isClosed, gate.isOpen()]).toEqual([true, false])
  await expect(gate.pass(answer)).rejects.toBe(refused)
  gate.open()
  expect(await gate.pass(answer)).toBe('answer')
  await expect(create(false).pass(answer)).rejects.toBe(refused)
})

test('a call that is under way ends before the gate is closed', async () => {
  const gate = create()
  let finish = (_: string) => {}
  const inside = gate.pass(
    () =>
      new Promise<string>((resolve) => {
        finish = resolve
      }),
  )
  const closed = new Promise<void>((resolve) => gate.close(LONG_MS, resolve))
  await expect(gate.pass(answer)).rejects.toBe(refused)
  finish('done')
  expect(await inside).toBe('done')
  await closed
})

test('a task that is inside may make all its calls, and is waited for until it ends; one that is not is refused', async () => {
  const gate = create()
  let isClosed = false
  await new Promise<void>((resolve) =>
    asTask((end) => {
      void (async () => {
        await gate.pass(answer)
        gate.close(LONG_MS, () => {
          isClosed = true
        })
        expect(await gate.pass(answer)).toBe('answer')
        await asTask(async () => expect(gate.pass(answer)).rejects.toBe(refused))
        expect(isClosed).toBe(false)
        end()
        expect(isClosed).toBe(true)
        resolve()
      })()
    }),
  )
})

test('who takes too long is not waited for, and its answer is a refusal', async () => {
  const gate = create()
  let finish = (_: string) => {}
  const slow = gate.pass(
    () =>
      new Promise<string>((resolve) => {
        finish = resolve
      }),
  )
  void gate.pass(never)
  await new Promise<void>((resolve) => gate.close(1, resolve))
  gate.open()
  finish('too late')
  await expect(slow).rejects.toBe(refused)
  expect(await gate.pass(answer)).toBe('answer')
})

test('a task that has left, or that was there before a closing, counts no more', async () => {
  const gate = create()
  const task = stayInside(gate)
  await task.first
  await new Promise<void>((resolve) => gate.close(1, resolve))
  gate.open()
  let isClosed = false
  gate.close(LONG_MS, () => {
    isClosed = true
  })
  expect(isClosed).toBe(true)
  task.end()
  await eventually(() => expect(gate.isOpen()).toBe(false))
})
