// The parts of admission by themselves: whose turn it is, how often refusals are answered, how connections end.
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createAdmission } from '../../src/http/admission/admission.ts'
import { budgets } from '../../src/http/admission/budgets.ts'
import { createClients } from '../../src/http/admission/clients.ts'
import { createConnections } from '../../src/http/admission/connections.ts'
import { createFarewells } from '../../src/http/admission/farewells.ts'
import { createCountASecond } from '../../src/http/admission/refusals.ts'
import { createTurns } from '../../src/http/admission/turns.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'

const clients = createClients(0)
const stranger = clients.at('203.0.113.1')
const neighbour = clients.at('203.0.113.2')
const SLOW_MS = 20

describe('turns', () => {
  let nowMs = 0
  let begun: string[] = []
  const slow = (name: string) => () => {
    nowMs += SLOW_MS
    begun.push(name)
  }
  beforeEach(() => {
    begun = []
  })

  test('a flood of slow requests is spread over turns, and another client waits for few of them', async () => {
    const turns = createTurns(() => nowMs)
    for (let i = 0; i < 100; i += 1) turns.enter(stranger, slow('flood'))
    expect(begun).toEqual(['flood'])
    turns.enter(neighbour, slow('other'))
    while (!begun.includes('other')) await nextTurn()
    expect(begun.length).toBeLessThan(4)
    const before = begun.length
    for (let turn = 0; turn < 20; turn += 1) await nextTurn()
    expect(begun.length - before).toBeLessThanOrEqual(21)
    while (begun.length < 101) await nextTurn()
    expect(begun.filter((name) => name === 'flood')).toHaveLength(100)
  })

  test('quick ones begin as they come', () => {
    const turns = createTurns(() => nowMs)
    for (let i = 0; i < 50; i += 1) turns.enter(stranger, () => begun.push('quick'))
    expect(begun).toHaveLength(50)
  })

  test('what takes next to no time passes, until its turn has become long', async () => {
    const clock = () => nowMs
    const turns = createTurns(clock, clock)
    let passed = 0
    while (turns.pass()) {
      passed += 1
      nowMs += 1
    }
    expect(passed).toBeGreaterThan(64)
    expect(passed).toBeLessThan(96)
    await nextTurn()
    await nextTurn()
    expect(turns.pass()).toBe(true)
  })

  test('which it does not become while other processes run', async () => {
    const turns = createTurns(
      () => nowMs,
      () => 0,
    )
    for (let passed = 0; passed < 200; passed += 1) {
      expect(turns.pass()).toBe(true)
      nowMs += 1
    }
    await nextTurn()
  })

  test('and not while others wait', async () => {
    const turns = createTurns(() => nowMs)
    turns.enter(stranger, slow('first'))
    turns.enter(stranger, slow('waits'))
    expect(turns.pass()).toBe(false)
    while (begun.length < 2) await nextTurn()
  })

  test('the addresses of one IPv6 network take one turn', async () => {
    const turns = createTurns(() => nowMs)
    const at = (i: number) => clients.at(`2001:db8:1:${i}::1`)
    for (let i = 0; i < 50; i += 1) turns.enter(at(i), slow('flood'))
    turns.enter(neighbour, slow('other'))
    while (!begun.includes('other')) await nextTurn()
    expect(begun.length).toBeLessThan(4)
  })
})

describe('refusals', () => {
  test('a client has its share of answers a second, and others theirs', () => {
    let nowMs = 0
    const refusals = createCountASecond(budgets.refusals, () => nowMs)
    const { perClient } = budgets.refusals
    for (let i = 0; i < perClient; i += 1) expect(refusals.take(stranger)).toBeUndefined()
    expect(refusals.take(stranger)).toBe('client')
    expect([refusals.isUsedUp(stranger), refusals.isUsedUp(neighbour)]).toEqual([true, false])
    expect(refusals.take(neighbour)).toBeUndefined()
    nowMs += 1_000
    expect(refusals.isUsedUp(stranger)).toBe(false)
    expect(refusals.take(stranger)).toBeUndefined()
  })

  test('a client who was refused too often is not let in for the rest of the second; a private address is', () => {
    const { log } = recordLog()
    const admission = createAdmission({ trustProxy: 0, log, startTimer: () => () => {} })
    const ended: string[] = []
    const visit = (remoteAddress: string) => {
      const socket = {
        remoteAddress,
        on: () => {},
        once: () => {},
        destroy: () => void ended.push(remoteAddress),
      }
      return { ...socket, headers: {}, rawHeaders: [], socket }
    }
    const { perClient, inAll } = budgets.refusals
    const refuse = (address: string) => {
      const one = visit(address)
      admission.turnAway(one as never, { ...one, end() {}, pause() {} } as never, Buffer.alloc(0))
    }
    for (let i = 0; i <= perClient; i += 1) refuse('203.0.113.1')
    for (let i = 0; i <= inAll / 2; i += 1) refuse('127.0.0.1')
    ended.length = 0
    for (const address of ['203.0.113.1', '203.0.113.2', '127.0.0.1'])
      admission.connected(visit(address) as unknown as Socket)
    expect(ended).toEqual(['203.0.113.1'])
    admission.close()
  })
})

describe('probes', () => {
  const budget = budgets.probes.perClient

  /** Requests of one client, each on a connection of its own, and in which order they begin; the first takes long. */
  function arrive(urls: readonly string[]) {
    const { log } = recordLog()
    const admission = createAdmission({ trustProxy: 0, log, startTimer: () => () => {} })
    const begun: string[] = []
    for (const url of urls) {
      const connection = new EventEmitter()
      const socket = Object.assign(connection, {
        remoteAddress: '203.0.113.1',
        writable: true,
        writableLength: 0,
      })
      const req = { method: 'GET', url, headers: {}, rawHeaders: [], socket, complete: true }
      const res = Object.assign(new EventEmitter(), { socket })
      const begin = () => {
        begun.push(url)
        if (url === '/slow') for (const from = performance.now(); performance.now() - from < SLOW_MS; );
      }
      admission.arrived(req as never, res as never, begin, () => false)
    }
    admission.close()
    return begun
  }

  test('wait for nobody, as many as a platform asks; a flood of them begins in its turn', async () => {
    const begun = arrive(['/slow', '/thing', ...Array.from({ length: budget + 3 }, () => '/livez')])
    await new Promise(process.nextTick)
    expect(begun).toEqual(['/slow', ...Array.from({ length: budget }, () => '/livez')])
    while (begun.length < budget + 5) await nextTurn()
    expect(begun.slice(budget + 1)).toEqual(['/thing', '/livez', '/livez', '/livez'])
  })
})

test('of idle connections the one that was not used for the longest time makes room', () => {
  const connections = createConnections(clients, false)
  const destroyed: number[] = []
  const visit = (i: number) => {
    const socket = { remoteAddress: '203.0.113.1', once: () => {}, destroy: () => void destroyed.push(i) }
    connections.admit(socket as never)
    return socket as never
  }
  const { perClient } = budgets.connections
  const sockets = Array.from({ length: perClient }, (_, i) => visit(i))
  for (const i of [0, 1, 3]) connections.used(sockets[i] ?? ({} as never))
  for (let i = 0; i < 3; i += 1) visit(perClient + i)
  expect(destroyed).toEqual([2, 4, 5])
})

describe('farewells', () => {
  test.each([
    ['has sent everything', false],
    ['still sends', true],
  ])('a client who reads nothing and %s is let go in the end', async (_name, isSending) => {
    const calls: (() => void)[] = []
    const farewells = createFarewells((_ms, call) => {
      calls.push(call)
      return () => {}
    })
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const deaf = connect((server.address() as AddressInfo).port, '127.0.0.1').pause()
    deaf.on('error', () => {})
    const [socket] = (await once(server, 'connection')) as [Socket]
    farewells.say(socket, { client: stranger, last: Buffer.alloc(32 * 1024 * 1024), isSending })
    expect(socket.destroyed).toBe(false)
    for (const call of calls) call()
    await eventually(() => expect(socket.closed).toBe(true))
    deaf.destroy()
    server.close()
  })
})
