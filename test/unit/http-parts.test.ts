import { z } from 'zod'
import type { Status } from '../../src/core/redis/failover-state.ts'
import { createAppStatus } from '../../src/core/redis/status.ts'
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
  function createRole() {
    const listeners: (() => void)[] = []
    const counts = { activations: 1, blips: 2, reconnects: 3, servedCalls: 10 }
    let told = { status: 'memory' as Status, sinceMs: 1, ...counts, lastError: null }
    return {
      status: () => told,
      onStatus: (listener: () => void) => void listeners.push(listener),
      become(status: Status, sinceMs: number) {
        told = { ...told, status, sinceMs }
        for (const listener of listeners) listener()
      },
    }
  }

  test('it lasts as long as the app has it, and its beginning never goes back', () => {
    const [cache, state] = [createRole(), createRole()]
    const appStatus = createAppStatus([cache, state])
    const steps: [typeof cache, Status, number, Status, number][] = [
      [state, 'merging', 50, 'merging', 50],
      [state, 'redis', 60, 'memory', 60],
      [cache, 'merging', 70, 'merging', 70],
      [cache, 'redis', 80, 'redis', 80],
      [state, 'memory', 90, 'memory', 90],
      [cache, 'memory', 100, 'memory', 90],
      [state, 'merging', 110, 'merging', 110],
      [state, 'redis', 120, 'memory', 120], // the cache has been there since 100
      [cache, 'merging', 115, 'merging', 120], // by a clock that was set back
      [cache, 'redis', 130, 'redis', 130],
    ]
    for (const [role, becomes, atMs, status, sinceMs] of steps) {
      role.become(becomes, atMs)
      expect(appStatus()).toMatchObject({ status, sinceMs })
    }
    expect(appStatus()).toMatchObject({ activations: 2, blips: 4, reconnects: 6, servedCalls: 20 })
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
