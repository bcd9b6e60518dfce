// What V8 makes of the flags of the app, which says nothing of those that it overrules.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { appFlags } from '../../image/node-flags.js'

type HeapMode = (share: number) => boolean
const { createHeapMode } = createRequire(import.meta.url)('../../image/small-heap.cjs') as {
  createHeapMode(): HeapMode
}

const MIB = 1024 * 1024

/** Of a process of its own: the young generation's limit, in MiB, and what V8's flags are, as a number. */
function asked(flags: readonly string[]): { youngMib: number; tag: number } {
  const ask =
    'const v8 = require("node:v8"); console.log(JSON.stringify([v8.getHeapStatistics().heap_size_limit, v8.cachedDataVersionTag()]))'
  const answer = execFileSync(process.execPath, [...flags, '-e', ask], { encoding: 'utf8' })
  const [limit, tag] = JSON.parse(answer) as [number, number]
  const oldMib = Number(/--max-old-space-size=(\d+)/.exec(flags.join(' '))?.[1])
  return { youngMib: limit / MIB - oldMib, tag }
}

test('the young generation has the size that the flags say: three half-spaces of 4 MiB, or less in a small heap', () => {
  expect(asked(appFlags(160)).youngMib).toBe(12)
  expect(asked(appFlags(55)).youngMib).toBe(3) // of a container of 256 MiB
  // What this is about: the flag of V8 overrules the size that stands beside it.
  expect(
    asked(['--max-old-space-size=160', '--max-semi-space-size=4', '--optimize-for-size']).youngMib,
  ).toBeLessThan(4)
})

test('the app starts with a small heap', () => {
  const sizes = ['--max-old-space-size=160', '--max-semi-space-size=4']
  expect(asked(appFlags(160)).tag).not.toBe(asked(sizes).tag)
})

test('the heap is small until there is much to do, and again when there was little for ten looks', () => {
  const mode = createHeapMode()
  expect([0.05, 0.2, 0.3].map(mode)).toEqual([true, true, true])
  expect(mode(0.31)).toBe(false)
  expect(Array.from({ length: 9 }, () => mode(0.05))).toEqual(Array(9).fill(false))
  expect(mode(0.2)).toBe(false) // neither: it begins anew
  expect(Array.from({ length: 10 }, () => mode(0.05))).toEqual([...Array(9).fill(false), true])
})
