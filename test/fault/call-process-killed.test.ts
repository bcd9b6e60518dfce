// A process that serves calls is killed: its peers return at another one as who they were, and who does not return is
// gone.
import { once } from 'node:events'
import { createClient } from 'redis'
import { removeProcesses, spawnApp, untilStatus } from '../helpers/app-process.ts'
import { type CallClient, openCall } from '../helpers/call-client.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

let redis: TestRedis
const clients: CallClient[] = []

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  for (const { socket } of clients) socket.terminate()
  await removeProcesses()
  await redis.stop()
})

async function call(url: string, key: string): Promise<CallClient> {
  const client = await openCall(url, { key })
  clients.push(client)
  return client
}

test('kill -9 in the middle of a call of four', async () => {
  const env = { REDIS_URL: redis.url, SESSION_SECRET: 'one secret for all processes' }
  const [stays, other, dies] = await Promise.all([spawnApp(env), spawnApp(env), spawnApp(env)])
  for (const { url } of [stays, other, dies]) await untilStatus('redis', url)
  const made = await fetch(`${stays.url}/api/calls`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"kind":"group"}',
  })
  const { room, key } = (await made.json()) as { room: string; key: string }

  const anna = await call(stays.url, key)
  await anna.join(room, { name: 'Anna' })
  const gleb = await call(other.url, key)
  await gleb.join(room, { name: 'Gleb' })
  const boris = await call(dies.url, key)
  const { you } = await boris.join(room, { name: 'Boris' })
  const vera = await call(dies.url, key)
  const veraJoined = await vera.join(room, { name: 'Vera' })
  await anna.next('peer-joined', ({ peer }) => peer.id === veraJoined.you.id)
  anna.send({ type: 'say', data: 'before' })
  await boris.next('said')
  await boris.settle()
  const { resume, epoch, offset, signals } = await boris.next('pong')

  dies.child.kill('SIGKILL')
  await once(dies.child, 'close')
  expect(await boris.closed).toBe(1006)
  anna.send({ type: 'say', data: 'meanwhile' })
  anna.send({ type: 'signal', to: you.id, data: 'for Boris' })
  await anna.next('said', ({ data }) => data === 'meanwhile')

  const again = await call(stays.url, key)
  const joined = await again.join(room, { name: 'Boris', resume, since: { epoch, offset, signals } })
  expect(joined).toMatchObject({ you: { id: you.id }, resumed: true, recovered: true })
  expect(await again.next('said')).toMatchObject({ data: 'meanwhile' })
  expect(await again.next('signal')).toMatchObject({ data: 'for Boris' })
  await anna.settle()
  expect(anna.messages.map(({ type }) => type)).not.toContain('peer-left')

  // Vera's process does not renew her lease any more. Its rest is taken away here: a minute is long for a test. A
  // process that finds it ended, as each looks every 20 s, tells all.
  await endLease(room, veraJoined.you.id)
  const left = await anna.next('peer-left')
  expect(left).toEqual({ type: 'peer-left', id: veraJoined.you.id, reason: 'lost' })
  expect(await again.next('peer-left')).toEqual(left)
  expect(await gleb.next('peer-left')).toEqual(left)
})

async function endLease(room: string, peer: string): Promise<void> {
  const client = await createClient({ url: redis.url }).connect()
  const [here = ''] = await client.keys(`samovar:bus:*${room}*:here`)
  const members = await client.hGetAll(here)
  const [id, value] = Object.entries(members).find(([member]) => member.startsWith(`${peer}~`)) ?? ['', '']
  expect(id).not.toBe('')
  await client.hSet(here, id, value.replace(/^\d+/, '1'))
  client.destroy()
}
