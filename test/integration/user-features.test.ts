// Features in a folder of the user's own: they run as ours do, and each mistake in one of them is a sentence that names
// its file and line; the app is then not started at all, or goes on.
import { createHmac } from 'node:crypto'
import { removeProcesses, spawnApp, spawnSource } from '../helpers/app-process.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/free-port.ts'
import { removeUserFolders, userFolder } from '../helpers/user-folder.ts'

afterAll(async () => {
  await removeProcesses()
  removeUserFolders()
})

const GOOD = `import express from 'express'
import { z } from 'zod'
import { connect } from 'node:net'
import * as samovar from 'samovar'
const { defineFeature, cachedRoute, endpoint, notFound, Router } = samovar
connect(2, '127.0.0.1') // nothing answers there, and nothing listens to its error

export default defineFeature({
  name: 'notes',
  variables: { NOTES_WORD: { schema: z.string(), en: 'a word', ru: 'слово' } },
  migrations: ['CREATE TABLE notes_own (id TEXT PRIMARY KEY) STRICT'],
  navigation: [{ path: '/', en: 'Notes', ru: 'Заметки' }],
  setup({ config, cache, records, queue, navigation, log }) {
    const policy = { freshMs: 60_000, parse: (json) => json }
    const routes = Router()
    endpoint(routes, '/', { get: (_req, res) => void res.json({ links: navigation().map(({ path }) => path) }) })
    endpoint(routes, '/api/notes', {
      async get(_req, res) {
        await records.transaction(async (tx) => tx.run('INSERT INTO notes_own VALUES (?) ON CONFLICT DO NOTHING', 'a'))
        const rows = await records.all('SELECT id FROM notes_own')
        res.json({ word: config.NOTES_WORD, rows: rows.length, isRouter: typeof express.Router === 'function' })
      },
    })
    endpoint(routes, '/api/none', { get() { throw notFound('That note') } })
    endpoint(routes, '/api/broken', { async get() { throw new TypeError('of a request') } })
    endpoint(routes, '/api/lost', { get(_req, res) {
      void (async () => { throw new Error('of nobody') })()
      setTimeout(() => { throw new Error('of a timer') }, 1)
      void fetch('http://127.0.0.1:1/')
      connect(1, '127.0.0.1')
      setTimeout(() => { throw 'a text' }, 1)
      res.json({})
    } })
    endpoint(routes, '/api/blocked', { get(_req, res) {
      const until = Date.now() + 3_000
      while (Date.now() < until);
      res.json({})
    } })
    endpoint(routes, '/api/job', { async get(_req, res) { await queue.add('failing', {}, { id: 'one' }); res.json({}) } })
    return {
      routes,
      jobs: [{ name: 'failing', async run() { throw new Error('of a job') } }],
      cached: [cachedRoute({
        path: '/api/cached-notes',
        parse: () => 'x',
        peek: (key) => cache.peek(key, policy),
        read: (key) => cache.getOrLoad(key, policy, async () => ({ cached: true })),
      })],
      start() { log.info('the feature notes is started') },
    }
  },
})
`
const SECOND = `import { defineFeature } from 'samovar'
type Name = string
export const tags = defineFeature({ name: 'tags' as Name, needs: ['words'], setup: () => ({}) })
`
const THIRD = `const { defineFeature } = require('samovar')
module.exports = defineFeature({ name: 'words', setup: () => ({}) })
`

test('features of a folder and of its folders run; what fails in one is logged by its name, and the app goes on', async () => {
  const dir = userFolder({
    'feature.js': GOOD,
    'a-tags/feature.ts': SECOND,
    'words/feature.cjs': THIRD,
    'node_modules/feature.js': 'throw new Error("no feature")',
  })
  const app = await spawnApp({ USER_DIR: dir, NOTES_WORD: 'milk', HOME_PAGE: 'own' })
  const get = (path: string, init?: RequestInit) => fetch(app.url + path, init)
  const json = async (path: string) => (await get(path)).json() as Promise<unknown>
  expect(app.said.out).toContain('the feature notes is started')
  expect(await json('/api/notes')).toEqual({ word: 'milk', rows: 1, isRouter: true })
  expect(await json('/')).toMatchObject({ links: expect.arrayContaining(['/', '/markets', '/status']) })
  expect(await json('/api/cached-notes')).toEqual({ cached: true })
  const none = await get('/api/none')
  expect([none.status, await none.json()]).toMatchObject([404, { detail: 'That note does not exist.' }])

  // The page that was at / is at /status for a browser, and what keeps it current is there for others.
  const page = await get('/status', { headers: { accept: 'text/html,*/*;q=0.8' } })
  expect(await page.text()).toContain('id="status"')
  expect(await json('/status')).toMatchObject({ status: 'memory' })

  const broken = await get('/api/broken')
  expect([broken.status, broken.headers.get('content-type')]).toEqual([500, 'application/problem+json'])
  const lines = () =>
    app.said.out
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, string>] : []))
  const ofNotes = () => lines().filter(({ feature }) => feature === 'notes')
  const ofRequest = { level: 'error', path: '/api/broken', err: { message: 'of a request' } }
  await eventually(() => expect(ofNotes()).toMatchObject([ofRequest]))

  await get('/api/lost')
  const lost = () => lines().flatMap(({ msg }) => (/failed where nothing waits/.test(msg ?? '') ? [msg] : []))
  // Of a socket and of what is no error no place is known, and the log says such a line once in a while only.
  await eventually(() => expect(new Set(lost()).size).toBe(4))
  const named = (msg = '') => /the feature notes failed .*feature\.js:\d+/.test(msg)
  expect(lost().filter(named)).toHaveLength(3)
  expect(lost()[0]).toContain('notes or words or tags failed where nothing waits for it, at a place that its')
  await get('/api/job')
  // Of a job's error the log has the name and the place: its message may hold what users sent.
  await eventually(() => expect(app.said.out).toMatch(/"job":"failing".*feature\.js:\d+/))

  await get('/api/blocked')
  await eventually(() => expect(app.said.out).toMatch(/requests go on after/))
  expect(lines()).toContainEqual(
    expect.objectContaining({
      level: 'error',
      msg: expect.stringContaining('your code holds up every request'),
      place: expect.stringMatching(new RegExp(`^${dir}/feature\\.js:3\\d`)),
    }),
  )
  expect((await get('/livez')).status).toBe(200)
  app.child.kill('SIGTERM')
  expect(await app.ended).toBe(0)
})

const SHOP = `import { createHmac } from 'node:crypto'
import { answerWith, atLeast, badSignature, bytesOfHex, defineFeature, defineScheme, endpoint, headerOf, isSameSecret, isSignedBy, Router } from 'samovar'
const own = defineScheme({
  name: 'own',
  signatureHeaders: ['x-own'],
  checkSecret: atLeast(6),
  verify(signed) {
    const given = bytesOfHex(headerOf(signed, 'x-own'))
    if (!given || !isSameSecret('a', 'a')) return badSignature('signature malformed')
    const sign = (secret) => createHmac('sha256', secret).update(signed.body).digest()
    return isSignedBy(signed.secrets, [given], sign) ? {} : badSignature('signature differs')
  },
  idOf: ({ body }) => JSON.parse(body).id,
})
export default defineFeature({
  name: 'shop',
  needs: ['webhooks'],
  schemes: [own],
  migrations: ['CREATE TABLE shop_orders (id TEXT NOT NULL) STRICT'],
  setup({ records }, { onDelivery }) {
    onDelivery('orders', async ({ id, source }, { tx }) => {
      if (id === 'broken') throw new Error('of a delivery')
      tx.run('INSERT INTO shop_orders VALUES (?)', id)
      return answerWith({ status: 202, contentType: 'text/plain', body: source + ' ' + id })
    })
    const routes = Router()
    endpoint(routes, '/api/orders', { get: async (_req, res) => void res.json(await records.all('SELECT id FROM shop_orders')) })
    return { routes }
  },
})
`

test('a delivery reaches the handler of a feature of the user’s, once, by a scheme of its own', async () => {
  const dir = userFolder({ 'feature.js': SHOP })
  const app = await spawnApp({ USER_DIR: dir, WEBHOOK_SECRETS: 'orders:own=a-secret' })
  async function post(id: string, secret = 'a-secret') {
    const body = JSON.stringify({ id })
    const headers = { 'x-own': createHmac('sha256', secret).update(body).digest('hex') }
    const answer = await fetch(`${app.url}/api/webhooks/orders`, { method: 'POST', body, headers })
    return [answer.status, answer.status < 300 ? await answer.text() : '']
  }
  expect(await post('a')).toEqual([202, 'orders a'])
  expect(await post('a')).toEqual([202, 'orders a'])
  expect(await post('b', 'another')).toEqual([401, ''])
  expect(await post('broken')).toEqual([500, ''])
  expect(app.said.out).toMatch(/the handler of a webhook failed/)
  expect(app.said.out).toMatch(/"source":"orders".*feature\.js:\d+/)
  expect(await (await fetch(`${app.url}/api/orders`)).json()).toEqual([{ id: 'a' }])
  app.child.kill('SIGTERM')
  expect(await app.ended).toBe(0)
})

const feature = (body: string, head = '') => `import { defineFeature, Router, z } from 'samovar'\n${head}
export default defineFeature({
  name: 'mine',
  ${body}
})
`
const HEAD = 'The configuration is not usable:\n  - '

/** What is in the folder, what is set, and the sentence; DIR stands for the folder. */
const MISTAKES: [string, Record<string, string>, Record<string, string>, string][] = [
  [
    'nothing to run',
    { 'index.js': '' },
    {},
    'DIR has neither a feature.js, feature.mjs or feature.ts, in itself or in a folder of it, nor a samovar.config.js: nothing there would run',
  ],
  [
    'a word that is no JavaScript',
    { 'feature.js': 'import "./part.js"\n', 'part.js': '\nconst const\n' },
    {},
    "DIR/part.js:2 cannot be loaded: SyntaxError: Unexpected token 'const'",
  ],
  [
    'TypeScript that is more than types',
    { 'feature.ts': 'enum A { B }\n' },
    {},
    'DIR/feature.ts:1 cannot be loaded: SyntaxError: TypeScript enum is not supported in strip-only mode',
  ],
  [
    'a package that is not installed',
    { 'feature.js': '// one\nimport x from "no-such"\n' },
    {},
    'DIR/feature.js:2 imports no-such, which is not there: npm install no-such in DIR',
  ],
  [
    'a name that samovar has not',
    { 'feature.js': '\nimport { nothing } from "samovar"\n' },
    {},
    "DIR/feature.js:2 cannot be loaded: SyntaxError: The requested module 'samovar' does not provide an export named 'nothing'",
  ],
  [
    'an error while it is loaded',
    { 'feature.js': 'console.log("hi")\nthrow new Error("no")\n' },
    {},
    'DIR/feature.js:2 cannot be loaded: Error: no',
  ],
  [
    'an end of the process',
    { 'feature.js': 'process.exit(0)\n' },
    {},
    'DIR/feature.js ends the process while it is loaded',
  ],
  [
    'no feature in it',
    { 'feature.js': 'export default 3\n' },
    {},
    'DIR/feature.js exports no feature: export default defineFeature({ name: …, setup(context) { … } })',
  ],
  [
    'a variable that is not set',
    { 'feature.js': feature('variables: {\n    MY_KEY: { schema: z.string() } },\n  setup: () => ({}),') },
    {},
    'MY_KEY must be set (DIR/feature.js:6)',
  ],
  [
    'a variable of the app',
    { 'feature.js': feature('variables: { PORT: { schema: z.string() } },\n  setup: () => ({}),') },
    {},
    'the variable PORT of the feature mine is the app’s (DIR/feature.js:5)',
  ],
  [
    'a name of ours',
    { 'feature.js': feature('setup: () => ({}),').replace("'mine'", "'page'") },
    {},
    'two features are named page (DIR/feature.js:4)',
  ],
  [
    'a server that the image has not',
    { 'samovar.config.js': '\nexport default { command: "npm start" }\n' },
    {},
    'command names a program that the image has not: write the command that package.json runs, such as "node server.js" (DIR/samovar.config.js:2)',
  ],
]

/** Those that are known only when the features are set up: not to the image's check. */
const LATER: typeof MISTAKES = [
  [
    'an error in setup',
    { 'feature.js': feature('setup() {\n    undefined.x\n  },') },
    {},
    "the feature mine cannot be set up: TypeError: Cannot read properties of undefined (reading 'x') (DIR/feature.js:6)",
  ],
  [
    'a setup that is not waited for',
    { 'feature.js': feature('async setup() { return {} },') },
    {},
    'setup of the feature mine returns a promise, and is not waited for: connect in start, or in a handler (DIR/feature.js:5)',
  ],
  [
    'an error in start',
    { 'feature.js': feature('setup: () => ({ start() { throw new Error("no") } }),') },
    {},
    'the feature mine cannot be started: Error: no (DIR/feature.js:5)',
  ],
  [
    'the page at /',
    { 'feature.js': feature('setup: () => ({ routes: Router().get("/", (_req, res) => res.json(1)) }),') },
    {},
    'the path / of the feature mine is taken by page: HOME_PAGE=own leaves it to you (DIR/feature.js:4)',
  ],
]

/** Known without a start: tables are tried, and what JavaScript lets pass is looked at. */
MISTAKES.push(
  [
    'tables that are no SQL',
    { 'feature.js': feature("migrations: ['CREATE TABEL a (id TEXT)'],\n  setup: () => ({}),") },
    {},
    'migrations of the feature mine: step 1 is no SQL that SQLite knows: near "TABEL": syntax error (DIR/feature.js:5)',
  ],
  [
    'a name of a variable that never arrives',
    { 'feature.js': feature('variables: { SECRET_KEY: { schema: z.string() } }, setup: () => ({}),') },
    {},
    'the image does not pass SECRET_KEY on, which pm2 or Node takes: give the variable another name (DIR/feature.js:1)',
  ],
  [
    'needs that are no list',
    { 'feature.js': feature("needs: 'sessions', setup: () => ({}),") },
    {},
    'needs of the feature mine is no list of names (DIR/feature.js:1)',
  ],
  [
    'a link that is none',
    { 'feature.js': feature('navigation: [null], setup: () => ({}),') },
    {},
    "navigation of the feature mine is no list of { path: '/…', en: '…', ru: '…' } (DIR/feature.js:1)",
  ],
  [
    'a name that is none',
    { 'feature.js': feature('setup: () => ({}),').replace("'mine'", "'my(app'") },
    {},
    'the name "my(app" of a feature has more than letters, digits and dashes (DIR/feature.js:1)',
  ],
  [
    'one of several words for a variable',
    { 'feature.js': feature("variables: { MY_MODE: { schema: z.enum(['a', 'b']) } }, setup: () => ({}),") },
    {},
    'MY_MODE must be set (DIR/feature.js:5)',
  ],
)
LATER.push(
  [
    'two handlers of one source',
    {
      'feature.js': feature(
        "needs: ['webhooks'],\n  setup(_, { onDelivery }) {\n    for (const _ of [1, 2]) onDelivery('a', async () => {})\n    return {}\n  },",
      ),
    },
    {},
    'the feature mine cannot be set up: TypeError: the source a has a handler (DIR/feature.js:7)',
  ],
  [
    'routes that are no router',
    { 'feature.js': feature('setup: () => ({ routes: (_req, res) => res.end() }),') },
    {},
    'setup of the feature mine returns routes that are no router of Express: Router() (DIR/feature.js:5)',
  ],
  [
    'jobs that are no list',
    { 'feature.js': feature('setup: () => ({ jobs: {} }),') },
    {},
    'setup of the feature mine returns jobs that are no list (DIR/feature.js:5)',
  ],
)

test('each mistake is one sentence, with file and line', async () => {
  const all = [...MISTAKES, ...LATER].filter(([what]) => what !== 'an end of the process')
  const folders = all.map(([, files]) => userFolder(files))
  // In one process: to compile the app for each would take a minute.
  const unknown = {
    dir: userFolder({ 'feature.js': feature('setup: () => ({}),') }),
    env: { FEATURES: 'nothing' },
  }
  const asked = [...folders.map((dir) => ({ dir, env: {} })), unknown]
  const { said, ended } = spawnSource('../test/helpers/user-mistakes.ts', { ASKED: JSON.stringify(asked) })
  expect([await ended, said.err]).toEqual([0, ''])
  const sentences = JSON.parse(said.out.split('\n').at(-2) ?? '')
  const expected = all.map(([, , , sentence], i) => [sentence.replaceAll('DIR', folders[i] ?? '')])
  expect(sentences).toEqual([...expected, [expect.stringMatching(/there are only .*, page, mine/)]])
})

const BOTH: (typeof MISTAKES)[number] = [
  'features that would not run',
  {
    'feature.js': feature('setup: () => ({}),'),
    'samovar.config.js': 'export default { command: "node server.js", mode: "instead" }',
  },
  {},
  'DIR/samovar.config.js says mode: "instead", and then no feature runs, but here mine: say "beside", or take it away (DIR/feature.js:4)',
]

test('a mistake ends the start with 78, for the app and for the image', async () => {
  const ofSetup = LATER.slice(0, 1).map((one) => ({ one, file: 'main.ts' }))
  const starts = [
    ...MISTAKES.filter(([what]) => what === 'an end of the process').map((one) => ({ one, file: 'main.ts' })),
    { one: BOTH, file: 'cli/embedded.ts' },
    ...ofSetup,
  ]
  async function start({ one, file }: (typeof starts)[number]): Promise<void> {
    const [what, files, , sentence] = one
    const dir = userFolder(files)
    const { said, ended } = spawnSource(file, { USER_DIR: dir, PORT: String(await freePort()) })
    const expected = [what, 78, `${HEAD}${sentence.replaceAll('DIR', dir)}\n`]
    expect([what, await ended, said.err]).toEqual(expected)
  }
  await Promise.all(starts.map(start))
})

test('FEATURES_OFF knows them; what they print while they are loaded is not taken for the image’s answer', async () => {
  const dir = userFolder({
    'feature.js': `import { connect } from 'node:net'\nconnect(1, '127.0.0.1')\nconsole.log('reading')\nsetInterval(() => {}, 1_000)\n${feature('variables: { MY_KEY: { schema: z.string() } },\n  setup: () => ({}),')}`,
  })
  const off = spawnSource('cli/embedded.ts', {
    USER_DIR: dir,
    FEATURES_OFF: 'mine',
    PORT: String(await freePort()),
  })
  expect([await off.ended, off.said.err]).toEqual([0, expect.stringContaining('reading')])
  expect(off.said.out).toMatch(/^variant='memory'\n/)
})
