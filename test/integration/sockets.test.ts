// The socket helper, for a feature that is nobody's: who may open, how many, what is resumed, and how sockets end.
import { WebSocket } from 'ws'
import { features } from '../../src/app.ts'
import type { Bus } from '../../src/core/bus/bus.ts'
import { defineFeature } from '../../src/feature.ts'
import { createHttpServer } from '../../src/http/server.ts'
import { CLOSE } from '../../src/http/sockets/open-socket.ts'
import { createSockets, HEARTBEAT_MS, type SocketOptions } from '../../src/http/sockets/sockets.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { createCallBus } from '../helpers/call-bus.ts'
import { eventually } from '../helpers/eventually.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { recordLog } from '../helpers/log.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

const CLOSED_WITHOUT_CODE = 1006

interface Opened {
  readonly socket: WebSocket
  readonly heard: { type: string; data?: unknown; since?: string }[]
  readonly closed: Promise<number>
}

/** Rejects with the status of a refusal. */
function open(url: string, headers: Record<string, string> = {}): Promise<Opened> {
  const socket = new WebSocket(url.replace('http', 'ws'), { headers })
  const heard: Opened['heard'] = []
  socket.on('message', (data) => heard.push(JSON.parse(String(data))))
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve({ socket, heard, closed }))
    socket.once('unexpected-response', (_req, res) => reject(new Error(`refused: ${res.statusCode}`)))
    socket.once('error', reject)
  })
}

describe('in the app', () => {
  let bus: Bus
  const echo = defineFeature({
    name: 'echo',
    setup(context) {
      bus = context.bus
      return {
        sockets: [
          context.socket({
            path: '/ws/echo',
            async open({ send, follow, since }, { id }) {
              await follow('echo', { since })
              return {
                receive: (text) => async () => void send(JSON.stringify({ type: 'echo', data: text, id })),
              }
            },
          }),
        ],
      }
    },
  })
  let app: TestApp
  let cookie: string
  let anna: Visitor
  const url = (query = '') => `${app.url}/ws/echo${query}`
  beforeAll(async () => {
    app = await startApp({ REDIS_URL: 'off', TELEGRAM_BOT_TOKEN: BOT_TOKEN }, [...features, echo])
    anna = visit(app)
    await anna.post('/api/auth/telegram', await signWidget(widgetFields(), BOT_TOKEN))
    cookie = [...anna.cookies].map((pair) => pair.join('=')).join('; ')
  })
  afterAll(() => app.close())

  test('it is for logged-in users, and not for pages of other sites', async () => {
    await expect(open(url())).rejects.toThrow('refused: 401')
    await expect(open(url(), { cookie, origin: 'https://evil.example' })).rejects.toThrow('refused: 403')
    const { socket, heard } = await open(url(), { cookie, origin: app.url })
    socket.send('hello')
    await eventually(() => expect(heard).toEqual([{ type: 'echo', data: 'hello', id: 'telegram:42' }]))
    socket.terminate()
  })

  test('a request without an upgrade is told so', async () => {
    const answer = await fetch(url(), { headers: { cookie } })
    expect([answer.status, answer.headers.get('upgrade')]).toEqual([426, 'websocket'])
    expect(await answer.json()).toMatchObject({ code: 'upgrade_required' })
    expect((await fetch(`${app.url}/ws/alerts`)).status).toBe(426)
    expect((await fetch(url(), { method: 'DELETE' })).status).toBe(405)
  })

  test('it follows a channel, and resumes after the last position', async () => {
    const first = await open(url(), { cookie })
    first.socket.send('ready')
    await eventually(() => expect(first.heard).toHaveLength(1))
    await bus.publish('echo', { n: 1 })
    await eventually(() => expect(first.heard.at(-1)).toMatchObject({ type: 'message', data: { n: 1 } }))
    const since = first.heard.at(-1)?.since ?? ''
    first.socket.terminate()
    await bus.publish('echo', { n: 2 })
    const second = await open(url(`?since=${encodeURIComponent(since)}`), { cookie })
    await bus.publish('echo', { n: 3 })
    await eventually(() => expect(second.heard.map(({ data }) => data)).toEqual([{ n: 2 }, { n: 3 }]))
    const lost = await open(url('?since=another-epoch%3A7'), { cookie })
    await eventually(() => expect(lost.heard[0]).toMatchObject({ type: 'missed' }))
    second.socket.terminate()
    lost.socket.terminate()
  })

  test('a client that sends too much is closed', async () => {
    const { socket, closed } = await open(url(), { cookie })
    for (let i = 0; i < 60; i += 1) socket.send('x')
    expect(await closed).toBe(CLOSE.refused)
  })

  test('so is one that sends too much which is no message', async () => {
    const { socket, closed } = await open(url(), { cookie })
    for (let i = 0; i < 6_000; i += 1) socket.ping(Buffer.alloc(120))
    // What is in flight when the app stops to read resets the connection: the code may not arrive.
    expect([CLOSE.refused, CLOSED_WITHOUT_CODE]).toContain(await closed)
  })
})

describe('by itself', () => {
  let ended = false
  let beat = () => {}
  async function serve(options: Partial<SocketOptions<string>>) {
    const { log, lines } = recordLog()
    const route = createSockets<string>({
      path: '/ws',
      callerOf: () => 'anna',
      clientOf: () => undefined,
      hasLoggedOut: async () => ended,
      open: () => ({}),
      bus: createCallBus(),
      log,
      startTimer(ms, call) {
        if (ms === HEARTBEAT_MS) beat = call
        return () => {}
      },
      ...options,
    })
    const server = createHttpServer({
      rawRouters: [],
      routers: [],
      upgrades: [{ ...route, handlers: [] }],
      trustProxy: 0,
      log,
    })
    const port = await server.listen(0)
    return { url: `http://127.0.0.1:${port}/ws`, lines, close: server.close, route }
  }

  test('only so many in all, and of each', async () => {
    const site = await serve({ most: 3, mostEach: { most: 2, of: (req) => String(req.query.who) } })
    const a = [await open(`${site.url}?who=a`), await open(`${site.url}?who=a`)]
    await expect(open(`${site.url}?who=a`)).rejects.toThrow('refused: 503')
    const b = await open(`${site.url}?who=b`)
    await expect(open(`${site.url}?who=c`)).rejects.toThrow('refused: 503')
    a[0]?.socket.close()
    await eventually(() => expect(site.route.sockets()).toBe(2))
    await open(`${site.url}?who=a`)
    b.socket.terminate()
    await site.close()
  })

  test('it ends with its login, and when nothing comes of it, with last words', async () => {
    const site = await serve({
      open: ({ send }) => ({
        receive: () => async () => void send('{"type":"echo"}'),
        lastWords: (reason) => [JSON.stringify({ type: reason })],
        isIdle: () => true,
      }),
    })
    const idle = await open(site.url)
    beat()
    idle.socket.send('still here')
    await eventually(() => expect(idle.heard).toHaveLength(1))
    beat()
    expect(await idle.closed).toBe(CLOSE.refused)
    expect(idle.heard).toEqual([{ type: 'echo' }, { type: 'idle' }])
    const one = await open(site.url)
    ended = true
    beat()
    expect(await one.closed).toBe(CLOSE.refused)
    expect(one.heard).toEqual([{ type: 'logged_out' }])
    ended = false
    await site.close()
  })

  test('a client that takes nothing is closed, and nothing is held for it afterwards', async () => {
    const big = JSON.stringify({ text: 'x'.repeat(100_000) })
    let sent = 0
    let isClosed = false
    const site = await serve({
      open(socket) {
        const timer = setInterval(() => {
          void socket.send(big)
          sent += 1
        }, 1)
        return {
          closed() {
            clearInterval(timer)
            isClosed = true
          },
        }
      },
    })
    const slow = await open(site.url)
    slow.socket.pause()
    await eventually(() => expect(isClosed).toBe(true), 20_000)
    expect(sent).toBeGreaterThan(10)
    await site.close()
  })

  test('work that fails closes the socket, and is logged', async () => {
    const site = await serve({
      open: () => ({
        receive: () => async () => {
          throw new TypeError('a bug')
        },
      }),
    })
    const { socket, closed } = await open(site.url)
    socket.send('x')
    expect(await closed).toBe(CLOSE.failed)
    expect(site.lines).toContainEqual(expect.objectContaining({ level: 'error' }))
    const late = await serve({
      open: async () => {
        throw new TypeError('a bug')
      },
    })
    expect(await (await open(late.url)).closed).toBe(CLOSE.failed)
    await late.close()
    await site.close()
  })

  test('a stop says restart', async () => {
    const site = await serve({})
    const { closed } = await open(site.url)
    await site.close()
    expect(await closed).toBe(CLOSE.restart)
  })
})
