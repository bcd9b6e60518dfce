// Sessions behind real HTTP, over whatever holds the state role, with a login that believes everything and a few routes
// that put fields into sessions and read them. And visitors, who keep cookies as browsers do.
import { Router } from 'express'
import type { SessionData } from 'express-session'
import type { State } from '../../src/core/state/state.ts'
import type { User } from '../../src/feature.ts'
import { createLogIn } from '../../src/features/sessions/log-in.ts'
import { createIdentify, createSessionLoader } from '../../src/features/sessions/session-middleware.ts'
import { createSessionRecords } from '../../src/features/sessions/session-records.ts'
import { sessionRoutes } from '../../src/features/sessions/session-routes.ts'
import { createSessionStore } from '../../src/features/sessions/session-store.ts'
import { createHttpServer } from '../../src/http/server.ts'
import type { Now } from '../../src/lib/time.ts'
import { freePort } from './free-port.ts'
import { recordLog } from './log.ts'

type Loose = SessionData & Record<string, unknown>

export interface SessionsAppOptions {
  state: State
  secrets?: readonly string[]
  now?: Now
}

export async function startSessions({ state, secrets = ['a secret of the tests'], now }: SessionsAppOptions) {
  const clock = now && { now }
  const records = createSessionRecords({ state, ...clock })
  const store = createSessionStore({ records, ...clock })
  const logIn = createLogIn({ records })
  const identify = createIdentify(store)
  const router = Router()
  const gates = new Map<string, { arrive: () => void; opened: Promise<void>; open: () => void }>()

  router.use(['/api', '/test'], createSessionLoader({ store, secrets }))
  // As where the body is slow: the session is loaded, and the route's work has not begun.
  router.use(async (req, _res, next) => {
    const gate = gates.get(req.get('x-gate') ?? '')
    gate?.arrive()
    await gate?.opened
    next()
  })
  router.post('/test/login', async (req, res) => {
    const { id, inFrame = false } = req.body as { id: string; inFrame?: boolean }
    const user: User = { id, name: `User ${id}` }
    await logIn(req, user, { inFrame })
    res.json({ sessionId: req.session.id })
  })
  // Loads the session, waits until the gate of that name opens, and changes its fields then.
  router.post('/test/fields', async (req, res) => {
    const {
      gate,
      fields,
      remove = [],
    } = req.body as {
      gate?: string
      fields?: Record<string, unknown>
      remove?: string[]
    }
    if (gate !== undefined) {
      gates.get(gate)?.arrive()
      await gates.get(gate)?.opened
    }
    Object.assign(req.session, fields)
    for (const name of remove) delete (req.session as unknown as Loose)[name]
    res.json({ identity: identify(req) })
  })
  router.get('/test/fields', (req, res) => {
    const { cookie: _, ...fields } = req.session as unknown as Loose
    res.json({ fields, identity: identify(req) })
  })

  const server = createHttpServer({
    rawRouters: [],
    routers: [router, sessionRoutes({ records })],
    trustProxy: 1,
    log: recordLog().log,
  })
  const url = `http://127.0.0.1:${await server.listen(await freePort())}`

  return {
    url,
    records,
    store,
    /** A point at which requests wait: `arrived` when so many are there, until `open`. */
    gate(name: string, expected: number) {
      let waiting = 0
      let allHere = () => {}
      let open = () => {}
      const arrived = new Promise<void>((resolve) => {
        allHere = resolve
      })
      const opened = new Promise<void>((resolve) => {
        open = resolve
      })
      const arrive = () => {
        waiting += 1
        if (waiting === expected) allHere()
      }
      gates.set(name, { arrive, opened, open })
      return { arrived, open }
    },
    close: () => server.close(),
  }
}

export type SessionsApp = Awaited<ReturnType<typeof startSessions>>

export interface Visitor {
  /** What the browser would send: name to value. */
  readonly cookies: Map<string, string>
  get(path: string): Promise<Response>
  post(path: string, body?: unknown): Promise<Response>
  delete(path: string): Promise<Response>
  logIn(id: string, options?: { inFrame?: boolean }): Promise<Response>
  /** Another one with the same cookies, which keeps its own from then on. */
  twin(): Visitor
}

/** `base` is a function where the app changes its address. */
export function createVisitor(
  base: string | (() => string),
  headers: Record<string, string> = {},
  cookies = new Map<string, string>(),
): Visitor {
  async function send(method: string, path: string, body?: unknown): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch((typeof base === 'string' ? base : base()) + path, {
      method,
      headers: {
        ...headers,
        ...(cookie && { cookie }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    await response.clone().arrayBuffer() // the last byte is sent once the session is stored
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ')
      const [name = '', value = ''] = pair.split('=')
      const expires = attributes
        .find((attribute) => attribute.startsWith('Expires='))
        ?.slice('Expires='.length)
      if (expires && Date.parse(expires) <= Date.now()) cookies.delete(name)
      else cookies.set(name, value)
    }
    return response
  }
  return {
    cookies,
    get: (path) => send('GET', path),
    post: (path, body) => send('POST', path, body),
    delete: (path) => send('DELETE', path),
    logIn: (id, options) => send('POST', '/test/login', { id, ...options }),
    twin: () => createVisitor(base, headers, new Map(cookies)),
  }
}
