import { z } from 'zod'
import type { Status } from '../../src/core/redis/failover-machine.ts'
import { combineStatus } from '../../src/core/redis/status.ts'
import { parse } from '../../src/http/parse.ts'
import { pathOf } from '../../src/http/request-target.ts'
import { hasToken } from '../../src/http/security.ts'
import { html } from '../../src/lib/html.ts'
import { createScope } from '../../src/lib/scope.ts'

describe('the admin token', () => {
  test.each<[string | undefined, boolean]>([
    ['Bearer right-token', true],
    ['bearer right-token', true],
    ['Bearer wrong-token', false],
    ['Bearer right-token2', false],
    ['Bearer ', false],
    ['Basic right-token', false],
    ['right-token', false],
    ['', false],
    [undefined, false],
  ])('%s → %s', (authorization, expected) => {
    expect(hasToken(authorization, 'right-token')).toBe(expected)
  })
})

test.each([
  ['/a?b#c', '/a?b#c'],
  ['//host/a', '//host/a'],
  ['*', '*'],
  ['http://host:81/a/b?c=%20', '/a/b?c=%20'],
  ['https://host', '/'],
  ['http://host:99999/a', undefined],
  ['http://[/a', undefined],
  ['mailto:a', undefined],
  ['a', undefined],
  ['', undefined],
])('the path of the target %s is %s', (target, path) => {
  expect(pathOf(target)).toBe(path)
})

test('what is wrong with an input is told, but no more of it than somebody reads', () => {
  const schema = z.record(z.string(), z.string())
  const detail = (count: number) => {
    try {
      parse(schema, Object.fromEntries(Array.from({ length: count }, (_, i) => [`field${i}`, 1])))
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  expect(detail(2)).toMatch(/^field0: .*; field1: /)
  expect(detail(10_000).match(/field\d+/g)).toHaveLength(10)
})

describe('one status of two roles', () => {
  const role = (status: Status, sinceMs: number) => ({
    status,
    sinceMs,
    activations: 1,
    servedCalls: 10,
    lastError: null,
  })
  test.each<[Status, Status, Status, number]>([
    ['redis', 'redis', 'redis', 200],
    ['redis', 'memory', 'memory', 200],
    ['memory', 'memory', 'memory', 100],
    ['merging', 'redis', 'merging', 100],
    ['memory', 'merging', 'merging', 200],
  ])('%s and %s make %s', (cache, state, expected, sinceMs) => {
    expect(combineStatus([role(cache, 100), role(state, 200)])).toEqual({
      status: expected,
      sinceMs,
      activations: 2,
      servedCalls: 20,
    })
  })
})

test('what is put into HTML is escaped, HTML is not', () => {
  const inner = html`<b>${`<&"'>`}</b>`
  expect(html`<p>${inner}${[inner]}${3}</p>`.text).toBe(
    '<p><b>&lt;&amp;&quot;&#39;&gt;</b><b>&lt;&amp;&quot;&#39;&gt;</b>3</p>',
  )
})

test('a scope closes in reverse, each even if one fails', async () => {
  const closed: string[] = []
  const scope = createScope()
  scope.add({ close: () => void closed.push('first') })
  scope.add({ close: () => Promise.reject(new Error('stuck')) })
  scope.add({ close: () => void closed.push('last') })
  await expect(scope.close()).rejects.toThrow(AggregateError)
  expect(closed).toEqual(['last', 'first'])
})
