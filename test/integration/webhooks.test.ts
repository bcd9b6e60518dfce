// Webhooks over HTTP, a real Redis and real SQLite: who is let in, and that each delivery is handled once.
import { type ChildProcess, fork } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readAdminToken } from '../../src/core/files/admin-token.ts'
import { AppError } from '../../src/errors.ts'
import type { Handler } from '../../src/features/webhooks/webhooks.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { createClock } from '../helpers/clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import {
  openWebhookApp,
  SECRET,
  signedRequest,
  type WebhookApp,
  writeEffect,
} from '../helpers/webhook-app.ts'
import type { Answered, ToSend } from '../helpers/webhook-sender.ts'

const OLD_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
const GITHUB_SECRET = 'a secret=of GitHub'
const TOKEN = 'a-token_of-Telegram'
const ADMIN_TOKEN = 'the-admin-token'
const SENTINEL = 'sentinel-that-no-log-may-hold'

const newId = () => `msg_${randomUUID()}`
const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code
const replayed = (response: Response) => response.headers.get('idempotent-replayed')

describe('the app', () => {
  let redis: TestRedis
  let app: TestApp
  const env = () => ({
    REDIS_URL: redis.url,
    ...PATIENCE,
    WEBHOOK_SECRETS:
      `payments=${SECRET}|${OLD_SECRET},shut=${SECRET},` +
      `repo:github=${GITHUB_SECRET},bot:telegram=${TOKEN}`,
    WEBHOOK_CLOSED: 'shut',
  })
  beforeAll(async () => {
    redis = await startRedis()
    app = await startApp({ ...env(), ADMIN_TOKEN })
    await app.untilStatus('redis')
  })
  afterAll(async () => {
    await app.close()
    await redis.stop()
  })

  const post = (source: string, init: RequestInit, to = app) =>
    to.get(`/api/webhooks/${source}`, { method: 'POST', ...init })
  const signed = (id: string, body: string, secret = SECRET) => signedRequest(id, body, Date.now(), secret)
  const github = (id: string | undefined, body: string, secret = GITHUB_SECRET): RequestInit => ({
    headers: {
      'content-type': 'application/json',
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      ...(id !== undefined && { 'x-github-delivery': id }),
    },
    body,
  })
  const telegram = (body: string, token = TOKEN): RequestInit => ({
    headers: { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': token },
    body,
  })
  const deliveries = async (source: string) => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
    const response = await app.get(`/api/webhooks/${source}/deliveries`, { headers })
    return (await response.json()) as { source: string; deliveries: Record<string, unknown>[] }
  }

  test('each scheme: done, replayed, refused with another body, refused with another secret', async () => {
    const id = newId()
    const update = `{"update_id":${Math.floor(Math.random() * 1e9)},"n":`
    const senders: [string, (body: string, isForged?: boolean) => RequestInit][] = [
      ['payments', (body, isForged) => signed(id, body, isForged ? `whsec_${'A'.repeat(32)}` : OLD_SECRET)],
      ['repo', (body, isForged) => github(id, body, isForged ? 'another secret' : GITHUB_SECRET)],
      ['bot', (body, isForged) => telegram(`${update}${body}}`, isForged ? 'another-token' : TOKEN)],
    ]
    for (const [source, request] of senders) {
      const first = await post(source, request('1'))
      expect([source, first.status, replayed(first)]).toEqual([source, 204, null])
      const second = await post(source, request('1'))
      expect([source, second.status, replayed(second)]).toEqual([source, 204, 'true'])
      const other = await post(source, request('2'))
      expect([source, other.status, await codeOf(other)]).toEqual([source, 422, 'other_body'])
      const forged = await post(source, request('1', true))
      expect([source, forged.status, await codeOf(forged)]).toEqual([source, 401, 'bad_signature'])
      expect((await deliveries(source)).deliveries).toHaveLength(1)
    }
  })

  test.each<[string, string, () => RequestInit, number, string]>([
    ['an unknown source', 'nobody', () => signed(newId(), '{}'), 401, 'bad_signature'],
    ['a name of every object', 'constructor', () => signed(newId(), '{}'), 401, 'bad_signature'],
    ['no signature', 'payments', () => ({ body: '{}' }), 401, 'bad_signature'],
    ['no body, no signature', 'payments', () => ({}), 401, 'bad_signature'],
    ['the body changed', 'payments', () => ({ ...signed(newId(), '{}'), body: '{ }' }), 401, 'bad_signature'],
    [
      'too old',
      'payments',
      () => signedRequest(newId(), '{}', Date.now() - 302_000),
      400,
      'outside_tolerance',
    ],
    [
      'too new',
      'payments',
      () => signedRequest(newId(), '{}', Date.now() + 360_000),
      400,
      'outside_tolerance',
    ],
    ['no id', 'repo', () => github(undefined, '{}'), 400, 'invalid_input'],
    ['an update without its id', 'bot', () => telegram('{}'), 400, 'invalid_input'],
    [
      'more than a megabyte',
      'payments',
      () => signed(newId(), 'x'.repeat(1024 * 1024 + 1)),
      413,
      'body_too_large',
    ],
    [
      'a compressed body',
      'repo',
      () => {
        const request = github(newId(), '{}')
        return { ...request, headers: { ...request.headers, 'content-encoding': 'gzip' } }
      },
      415,
      'encoding_unsupported',
    ],
  ])('%s is refused', async (_name, source, request, status, code) => {
    const response = await post(source, request())
    expect([response.status, await codeOf(response)]).toEqual([status, code])
    expect(response.headers.get('content-type')).toBe('application/problem+json')
  })

  test('only POST, and a megabyte, of any type and from anywhere', async () => {
    const get = await app.get('/api/webhooks/payments')
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])
    const large = signed(newId(), 'x'.repeat(1024 * 1024))
    const headers = { ...large.headers, 'content-type': 'image/png', 'sec-fetch-site': 'cross-site' }
    expect((await post('payments', { ...large, headers })).status).toBe(204)
  })

  test.each([
    ['an address of its own', () => '198.51.100.77'],
    ['an address that many share', () => '10.9.8.7'],
  ])('what is not signed does not use up the share of what is, from %s', async (_name, address) => {
    const from = (init: RequestInit, i = 0): RequestInit => ({
      ...init,
      headers: { ...init.headers, 'x-forwarded-for': address(), 'user-agent': `sender ${i}` },
    })
    const forged = (i: number) => (i % 2 ? { body: '{}' } : github(newId(), '{}', 'another secret'))
    const refused: number[] = []
    for (let first = 0; first < 660; first += 20) {
      const some = Array.from({ length: 20 }, (_, k) => post('repo', from(forged(first + k), first + k)))
      refused.push(...(await Promise.all(some)).map(({ status }) => status))
    }
    expect(refused.filter((status) => status === 401).length).toBeGreaterThanOrEqual(60)
    expect(refused.slice(-20)).toEqual(Array(20).fill(429))
    const { status, headers } = await post('repo', from(github(newId(), '{}')))
    expect([status, headers.get('ratelimit-policy')]).toEqual([204, '"webhooks";q=600;w=60'])
    expect(headers.get('ratelimit')).toMatch(/^"webhooks";r=599;/)
  })

  test('what has no signature is refused before it is read', async () => {
    const endless = new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(1_000)) })
    const response = await post('repo', { body: endless, duplex: 'half' } as RequestInit)
    expect([response.status, await codeOf(response)]).toEqual([401, 'bad_signature'])
  })

  test.each<[string, () => RequestInit]>([
    ['nothing that is signed', () => ({ body: '{}' })],
    ['that of Standard Webhooks', () => signed(newId(), '{}', `whsec_${'A'.repeat(32)}`)],
    ['that of GitHub', () => github(newId(), '{}', 'another secret')],
    ['that of Telegram', () => telegram('{}', 'another-token')],
    ['a body that is too large', () => signed(newId(), 'x'.repeat(1024 * 1024 + 1))],
    [
      'a compressed body',
      () => ({
        ...signed(newId(), '{}'),
        headers: { 'webhook-signature': 'v1,a', 'content-encoding': 'gzip' },
      }),
    ],
  ])('with %s a stranger does not learn which sources exist', async (_name, request) => {
    const answerOf = async (source: string) => {
      const response = await post(source, request())
      const { requestId: _, ...problem } = (await response.json()) as Record<string, unknown>
      return { status: response.status, problem, policy: response.headers.get('ratelimit-policy') }
    }
    const unknown = await answerOf('nobody')
    for (const source of ['payments', 'repo', 'bot']) expect(await answerOf(source)).toEqual(unknown)
  })

  test('the admin sees what came, newest first; nobody else does', async () => {
    const [first, second] = [newId(), newId()]
    await post('payments', signed(first, '{"n":1}'))
    await post('payments', signed(second, 'ж'.repeat(20_000)))
    const { source, deliveries: rows } = await deliveries('payments')
    expect([source, rows[1]]).toEqual([
      'payments',
      {
        id: first,
        receivedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        contentType: 'application/json',
        sizeBytes: 7,
        body: '{"n":1}',
      },
    ])
    expect(rows[0]).toMatchObject({ id: second, sizeBytes: 40_000, body: 'ж'.repeat(8_192) })
    const path = '/api/webhooks/payments/deliveries'
    expect((await app.get(path)).status).toBe(401)
    expect((await app.get(path, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401)
  })

  test('without ADMIN_TOKEN the token that was made shows deliveries, and nothing else does', async () => {
    const open = await startApp(env())
    const path = '/api/webhooks/payments/deliveries'
    const response = await open.get(path)
    const problem = (await response.json()) as { code: string; detail: string }
    expect([response.status, problem.code]).toEqual([401, 'token_required'])
    expect(problem.detail).toContain('ADMIN_TOKEN')
    const authorization = `Bearer ${readAdminToken(open.dataDir)}`
    expect((await open.get(path, { headers: { authorization } })).status).toBe(200)
    await open.close()
  })

  test('the log says source, id and outcome, and nothing of body or secret', async () => {
    const id = newId()
    await post('payments', signed(id, SENTINEL))
    await post('payments', signed(id, SENTINEL))
    await post('bot', telegram(`{"update_id":7,"text":"${SENTINEL}"}`))
    await post('bot', telegram(`{"update_id":"${SENTINEL}"}`, `${SENTINEL}-token`))
    const outcomes = app.lines.filter(({ fields }) => fields.id === id).map(({ fields }) => fields)
    expect(outcomes).toEqual([
      { source: 'payments', id, outcome: 'done' },
      { source: 'payments', id, outcome: 'replayed' },
    ])
    const said = JSON.stringify(app.lines)
    for (const secret of [SENTINEL, SECRET, SECRET.slice(6), GITHUB_SECRET, TOKEN]) {
      expect(said).not.toContain(secret)
    }
  })

  test('who waits for /data cannot promise anything yet: 503, and the sender comes again', async () => {
    const runDir = mkdtempSync(join(tmpdir(), 'samovar-run-'))
    const newcomer = await startApp({ ...env(), SAMOVAR_RUN_DIR: runDir })
    const response = await post('payments', signed(newId(), '{}'), newcomer)
    expect([response.status, await codeOf(response)]).toEqual([503, 'handing_over'])
    expect(response.headers.get('retry-after')).toBe('1')
    await newcomer.close()
    rmSync(runDir, { recursive: true })
  })

  test('a closed source accepts nothing while Redis is away, the others do', async () => {
    const [id, shutId] = [newId(), newId()]
    expect((await post('shut', signed(newId(), '{}'))).status).toBe(204)
    await redis.kill()
    await app.untilStatus('memory')
    const closed = await post('shut', signed(shutId, '{}'))
    expect([closed.status, await codeOf(closed)]).toEqual([503, 'source_closed'])
    expect(closed.headers.get('retry-after')).toBe('30')
    expect((await post('payments', signed(id, '{}'))).status).toBe(204)
    expect(replayed(await post('payments', signed(id, '{}')))).toBe('true')
    await redis.start()
    await app.untilStatus('redis')
    const open = await post('shut', signed(shutId, '{}'))
    expect([open.status, replayed(open)]).toEqual([204, null])
    expect(replayed(await post('payments', signed(id, '{}')))).toBe('true')
  })
})

describe('a handler', () => {
  let redis: TestRedis
  let app: WebhookApp
  let sender: ChildProcess
  let handler: Handler
  let runs: string[]
  const clock = createClock(Date.now())
  beforeAll(async () => {
    redis = await startRedis('--appendonly', 'yes')
    sender = fork(join(import.meta.dirname, '../helpers/webhook-sender.ts'), {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    app = await openWebhookApp({
      redisUrl: redis.url,
      now: clock.now,
      handler: (delivery, handling) => {
        runs.push(delivery.id)
        return handler(delivery, handling)
      },
    })
    await app.untilStatus('redis')
  })
  beforeEach(() => {
    handler = writeEffect
    runs = []
  })
  afterAll(async () => {
    sender.disconnect()
    await app.close()
    await redis.stop()
  })

  /** What a client in a process of its own was answered. */
  async function sendApart(id: string, times: number): Promise<Answered[]> {
    const told: ToSend = { url: app.url, secret: SECRET, id, body: '{"amount":100}', times }
    sender.send(told)
    const [answers] = (await once(sender, 'message')) as [Answered[]]
    return answers
  }

  test.each(['with its data', 'empty'] as const)(
    'runs once: the same webhook before, during and after an outage, 50 times each, Redis comes back %s',
    async (how) => {
      const [before, during] = [newId(), newId()]
      // Long enough for all of them to meet it.
      handler = async (delivery, handling) => {
        await new Promise((resolve) => setTimeout(resolve, 200))
        await writeEffect(delivery, handling)
        return { seen: delivery.id }
      }
      async function expectOnce(id: string) {
        const answers = await sendApart(id, 50)
        for (const { status, retryAfter, text } of answers) {
          expect([200, 409]).toContain(status)
          if (status === 200) expect(JSON.parse(text)).toEqual({ seen: id })
          else expect(Number(retryAfter)).toBeGreaterThan(0)
        }
        const after = await sendApart(id, 1)
        expect(after).toEqual([
          { status: 200, replayed: 'true', retryAfter: null, text: JSON.stringify({ seen: id }) },
        ])
        expect(runs.filter((run) => run === id)).toHaveLength(1)
        expect(await app.effects(id)).toBe(1)
        return answers.filter(({ status, replayed }) => status === 200 && replayed === null).length
      }

      expect(await expectOnce(before)).toBe(1)
      await redis.kill()
      await app.untilStatus('memory')
      expect(await expectOnce(before)).toBe(0)
      expect(await expectOnce(during)).toBe(1)
      if (how === 'with its data') await redis.start()
      else {
        await redis.start('--appendonly', 'no', '--dbfilename', 'none.rdb')
        await redis.command('FLUSHALL')
      }
      await app.untilStatus('redis')
      expect(await expectOnce(before)).toBe(0)
      expect(await expectOnce(during)).toBe(0)
    },
  )

  test('is not run again when Redis dies while it is at work, nor when Redis is back', async () => {
    const id = newId()
    handler = async (delivery, handling) => {
      await redis.kill()
      await writeEffect(delivery, handling)
    }
    const first = await app.send(id, '{}')
    expect([first.status, replayed(first)]).toEqual([204, null])
    expect(replayed(await app.send(id, '{}'))).toBe('true')
    await redis.start()
    await app.untilStatus('redis')
    expect(replayed(await app.send(id, '{}'))).toBe('true')
    expect([runs.length, await app.effects(id)]).toEqual([1, 1])
  })

  test('that fails is run again by the next attempt, and what it had queued is not kept', async () => {
    const id = newId()
    handler = async (delivery, handling) => {
      await writeEffect(delivery, handling)
      JSON.parse(delivery.body.toString())
    }
    const failed = await app.send(id, `${SENTINEL}!`)
    expect([failed.status, await codeOf(failed)]).toEqual([500, 'handler_failed'])
    expect(await app.effects(id)).toBe(0)
    expect(JSON.stringify(app.lines)).not.toContain(SENTINEL)
    expect(app.lines.find(({ fields }) => fields.id === id)).toMatchObject({
      level: 'error',
      fields: { source: 'payments', error: 'SyntaxError', at: expect.any(Array) },
    })
    handler = writeEffect
    expect((await app.send(id, `${SENTINEL}!`)).status).toBe(204)
    expect([runs.length, await app.effects(id)]).toEqual([2, 1])
  })

  test('may refuse with an answer of its own, and may not answer too much', async () => {
    handler = async () => {
      throw new AppError('not_yet', 503, 'Not yet.', { 'Retry-After': '60' })
    }
    const refused = await app.send(newId(), '{}')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '60'])
    const id = newId()
    handler = async (delivery, handling) => {
      await writeEffect(delivery, handling)
      return 'x'.repeat(17_000)
    }
    expect((await app.send(id, '{}')).status).toBe(500)
    expect(await app.effects(id)).toBe(0)
  })

  test('whose statement is wrong fails, whole', async () => {
    const id = newId()
    handler = async (delivery, { tx }) => {
      await writeEffect(delivery, { tx, signal: AbortSignal.abort() })
      tx.run('INSERT INTO effects VALUES (?)', null)
    }
    expect((await app.send(id, '{}')).status).toBe(500)
    expect(await app.effects(id)).toBe(0)
  })

  test('that ends after its 25 s takes no effect: 503, and the next attempt runs it', async () => {
    const id = newId()
    handler = async (delivery, handling) => {
      await writeEffect(delivery, handling)
      clock.turn(25_000)
    }
    const late = await app.send(id, '{}')
    expect([late.status, await codeOf(late)]).toEqual([503, 'timed_out'])
    expect(await app.effects(id)).toBe(0)
    handler = writeEffect
    expect((await app.send(id, '{}')).status).toBe(204)
    expect(await app.effects(id)).toBe(1)
  })

  test('that outlives its lease takes no effect any more: the next one has', async () => {
    const id = newId()
    let goOn = () => {}
    handler = async (delivery, handling) => {
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
      await writeEffect(delivery, handling)
      return 'first'
    }
    const first = app.send(id, '{}')
    await eventually(() => expect(runs).toHaveLength(1))
    handler = async (delivery, handling) => {
      await writeEffect(delivery, handling)
      return 'second'
    }
    const running = await app.send(id, '{}')
    expect([running.status, await codeOf(running)]).toEqual([409, 'delivery_running'])
    clock.turn(30_000)
    const second = await app.send(id, '{}')
    expect([second.status, await second.json()]).toEqual([200, 'second'])
    goOn()
    const late = await first
    expect([late.status, replayed(late), await late.json()]).toEqual([200, 'true', 'second'])
    expect(await app.effects(id)).toBe(1)
  })
})
