// What lets a guest in and a peer return: signed, for one room, for a while; and the messages themselves.
import { readFileSync } from 'node:fs'
import { createNumbers, isPolite } from '../../src/features/calls/politeness.ts'
import { clientMessage, parseClientMessage, serverMessage } from '../../src/features/calls/protocol.ts'
import { connAfter, sinceOf } from '../../src/features/calls/room-events.ts'
import { capacityOf, isRoomName, makeRoomName } from '../../src/features/calls/room-name.ts'
import { GUEST_LINK_MS, guestKey, roomOfKey } from '../../src/features/calls/tokens/guest-link.ts'
import { PING_MS, peerOfToken, RESUME_MS, resumeToken } from '../../src/features/calls/tokens/resume-token.ts'
import { readSigned, signText } from '../../src/features/calls/tokens/signed-text.ts'

const NOW = 1_800_000_000_000
const SECRETS = ['the new secret of the tests', 'the old secret of the tests']
const ROOM = 'pair-0123456789abcdef'

describe('the key of a guest', () => {
  const key = guestKey(ROOM, NOW, SECRETS)

  test('opens its room for a day, also after the secret has changed', () => {
    expect(roomOfKey(key, NOW, SECRETS)).toBe(ROOM)
    expect(roomOfKey(key, NOW + GUEST_LINK_MS - 1, SECRETS)).toBe(ROOM)
    expect(roomOfKey(key, NOW, ['a newer secret', ...SECRETS])).toBe(ROOM)
    expect(roomOfKey(guestKey(ROOM, NOW, SECRETS.slice(1)), NOW, SECRETS)).toBe(ROOM)
  })

  const [payload = '', signature = ''] = key.split('.')
  const other = Buffer.from(`${ROOM.replace('pair', 'group')} ${NOW + GUEST_LINK_MS}`).toString('base64url')
  const forever = Buffer.from(`${ROOM} 9999999999999`).toString('base64url')
  test.each<[string, string, number?, string[]?]>([
    ['nothing', ''],
    ['a dot', '.'],
    ['no signature', payload],
    ['an empty signature', `${payload}.`],
    ['another signature', `${payload}.${signature.slice(1)}x`],
    ['another room', `${other}.${signature}`],
    ['a longer life', `${forever}.${signature}`],
    ['more behind it', `${key}.x`],
    ['a day later', key, NOW + GUEST_LINK_MS],
    ['a secret that is no longer one', key, NOW, ['another secret']],
    ['no secrets', key, NOW, []],
    ['a token of a peer', resumeToken({ room: ROOM, isGuest: true, peer: 'p' }, NOW, SECRETS)],
    ['signed without a time', signText('call guest', ROOM, SECRETS)],
    ['signed for a room with no such name', signText('call guest', 'lobby 9999999999999', SECRETS)],
  ])('%s opens nothing', (_name, given, nowMs = NOW, secrets = SECRETS) => {
    expect(roomOfKey(given, nowMs, secrets)).toBeUndefined()
  })
})

describe('the token of a peer', () => {
  const guest = { room: ROOM, isGuest: true }
  const token = resumeToken({ ...guest, peer: 'peer-1' }, NOW, SECRETS)

  test('names the peer until 30 s after the last ping that was due', () => {
    expect(peerOfToken(token, guest, NOW, SECRETS)).toBe('peer-1')
    expect(peerOfToken(token, guest, NOW + PING_MS + RESUME_MS - 1, SECRETS)).toBe('peer-1')
  })

  test('of a user names nobody to a guest; a guest may log in meanwhile', () => {
    const user = { room: ROOM, isGuest: false }
    const ofUser = resumeToken({ ...user, peer: 'peer-2' }, NOW, SECRETS)
    expect(peerOfToken(ofUser, user, NOW, SECRETS)).toBe('peer-2')
    expect(peerOfToken(ofUser, guest, NOW, SECRETS)).toBeUndefined()
    expect(peerOfToken(token, user, NOW, SECRETS)).toBe('peer-1')
  })

  test.each<[string, string, string?, number?]>([
    ['of another room', token, makeRoomName('pair')],
    ['too old', token, ROOM, NOW + PING_MS + RESUME_MS],
    ['forged', `${token}x`],
    ['a key of a guest', guestKey(ROOM, NOW, SECRETS)],
    ['anything', 'x'],
  ])('%s it names nobody', (_name, given, room = ROOM, nowMs = NOW) => {
    expect(peerOfToken(given, { room, isGuest: true }, nowMs, SECRETS)).toBeUndefined()
  })
})

test('a signature holds for its purpose alone', () => {
  const signed = signText('one', 'текст', SECRETS)
  expect(readSigned('one', signed, SECRETS)).toBe('текст')
  expect(readSigned('two', signed, SECRETS)).toBeUndefined()
})

test('rooms are made with names that say how many fit, and others are refused', () => {
  const [pair, group] = [makeRoomName('pair'), makeRoomName('group')]
  expect([isRoomName(pair), capacityOf(pair), isRoomName(group), capacityOf(group)]).toEqual([
    true,
    2,
    true,
    8,
  ])
  for (const name of [
    '',
    'pair-',
    'pair-short',
    'lobby-0123456789',
    `pair-${'x'.repeat(65)}`,
    'pair-01234567/..',
  ])
    expect(isRoomName(name)).toBe(false)
})

test('of two exactly one gives way, and both never use one number', () => {
  expect(isPolite('a', 'b')).not.toBe(isPolite('b', 'a'))
  const [a, b] = [createNumbers('a', NOW), createNumbers('b', NOW)]
  const numbers = Array.from({ length: 500 }, () => [a('b'), b('a')]).flat()
  expect(new Set(numbers).size).toBe(1_000)
  const later = createNumbers('a', NOW + 1) // the next seat, after a thousand negotiations in one ms
  expect(later('b')).toBeGreaterThan(Math.max(...numbers))
  const inFarFuture = createNumbers('a', Date.UTC(2100))
  expect(Number.isSafeInteger(inFarFuture('b'))).toBe(true)
})

test('a later seat has a greater name, whatever the clock says', () => {
  const first = connAfter([], NOW)
  const second = connAfter([first], NOW - 60_000) // of a process whose clock is late
  const third = connAfter([second, first], NOW)
  expect([third, first, second].toSorted()).toEqual([first, second, third])
  expect(sinceOf(third)).toBe(NOW + 2)
  expect(connAfter([], NOW)).not.toBe(first)
})

test('what a message does not define is left out, and a name is trimmed', () => {
  const text = JSON.stringify({ type: 'join', room: ROOM, name: ' Anna ', from: 'x', admin: true })
  expect(parseClientMessage(text)).toEqual({ type: 'join', room: ROOM, name: 'Anna' })
  for (const name of ['Anna\u202E', 'An\u0000na', 'Anna\nBoris', 'An\u200Bna', '\u3164', '\uD800'])
    expect(parseClientMessage(JSON.stringify({ type: 'join', room: ROOM, name }))).toBeUndefined()
})

describe('the documented messages', () => {
  const blocks = (path: string) =>
    [...readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8').matchAll(/```json\n([^`]+)```/g)]
      .flatMap(([, block = '']) => block.trim().split('\n'))
      .map((line) => JSON.parse(line) as { type: string })

  test('are what the schemas say, every type of them', () => {
    const messages = blocks('features/calls.md')
    const isFine = (message: unknown) =>
      clientMessage.safeParse(message).success || serverMessage.safeParse(message).success
    expect(messages.filter((message) => !isFine(message))).toEqual([])
    const documented = new Set(messages.map(({ type }) => type))
    const types = [...clientMessage.options, ...serverMessage.options].flatMap(({ shape }) => [
      ...shape.type.values,
    ])
    expect(types.filter((type) => !documented.has(type))).toEqual([])
  })
})
