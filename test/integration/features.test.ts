// Features in the whole app: what is left out is not there, and what two of them take is refused.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Router } from 'express'
import { features } from '../../src/app.ts'
import { InvalidEnvironment, readConfig } from '../../src/config.ts'
import { defineFeature, type Setup } from '../../src/feature.ts'
import { openApp } from '../../src/host/open-app.ts'
import { sendCached } from '../../src/http/cached-response.ts'
import { endpoint } from '../../src/http/parse.ts'
import { startApp } from '../helpers/app.ts'
import { removeProcesses, spawnSource } from '../helpers/app-process.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'

afterAll(removeProcesses)

const tablesOf = (dataDir: string) =>
  new DatabaseSync(join(dataDir, 'records.db'), { readOnly: true })
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all()
    .map(({ name }) => String(name))

test('features that are left out have no route, table, variable, socket or link', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
  const app = await startApp({
    REDIS_URL: 'off',
    DATA_DIR: dataDir,
    FEATURES_OFF: 'alerts,calls,markets,reference',
    ICE_SERVERS: 'not JSON',
    COINGECKO_PLAN: 'pro',
    WEBHOOK_SECRETS: 'bot:telegram=a-token-of-eight',
    ADMIN_TOKEN: 'a-long-token',
  })
  try {
    for (const path of [
      '/api/alerts',
      '/api/coins',
      '/markets',
      '/call',
      '/ws',
      '/api/countries',
      '/static/calls/call.js',
    ])
      expect([path, (await app.get(path)).status]).toEqual([path, 404])
    const page = await (await app.get('/')).text()
    const header = /<header.*?<\/header>/s.exec(page)?.[0] ?? ''
    expect([...header.matchAll(/href="([^?"]*)/g)].map(([, path]) => path)).toEqual(['/', '/login', '/'])
    expect(page).not.toMatch(/href="\/(markets|call)|countries/)
    const headers = { authorization: 'Bearer a-long-token' }
    expect((await app.get('/api/webhooks/bot/deliveries', { headers })).status).toBe(200)
    const tables = tablesOf(dataDir)
    expect(tables).toContain('webhook_done')
    expect(tables).not.toContain('alerts')
  } finally {
    await app.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
})

test('one alone works: the others are not missed', async () => {
  for (const { name, needs = [] } of features) {
    const app = await startApp({ REDIS_URL: 'off', FEATURES: [...needs, name].join(',') })
    expect([name, (await app.get('/api/nothing', { method: 'POST' })).status]).toEqual([name, 404])
    await app.close()
  }
}, 120_000)

test('without a page at / the header of pages leads to the first page there is', async () => {
  const app = await startApp({ REDIS_URL: 'off', FEATURES: 'sessions,calls' })
  const front = await app.get('/', { redirect: 'manual' })
  expect([front.status, front.headers.get('location')]).toEqual([302, '/call'])
  await app.close()
})

describe('what two features take', () => {
  const withRoute = (name: string, path: string, more: Setup = {}) =>
    defineFeature({
      name,
      setup() {
        const routes = Router()
        endpoint(routes, path, { get: (_req, res) => void res.json({}) })
        return { routes, ...more }
      },
    })
  /** Files below the path, and a router with a path of its own. */
  const withMount = (name: string, path: string) =>
    defineFeature({
      name,
      setup() {
        const [routes, nested] = [Router(), Router()]
        nested.get('/:id', (_req, res) => void res.json({}))
        routes.use(path, nested)
        routes.use([`${path}/files`], (_req, res) => void res.json({}))
        return { routes }
      },
    })
  const open = (...list: Parameters<typeof openApp>[0]['features']) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
    try {
      openApp({
        features: list,
        config: readConfig(list, { REDIS_URL: 'off', DATA_DIR: dataDir }, false),
        log: recordLog().log,
      })
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
  }
  const users = { identify: async () => ({}), hasLoggedOut: async () => false }

  test.each<[string, ReturnType<typeof withRoute>[], string]>([
    [
      'a path',
      [withRoute('a', '/api/x'), withRoute('b', '/API/x')],
      'the path /api/x of the feature b is taken by a',
    ],
    [
      'a path with a parameter',
      [withRoute('a', '/api/x/:id'), withRoute('b', '/api/x/:code')],
      'the path /api/x/: of the feature b is taken by a',
    ],
    [
      'a path that something is mounted under',
      [withMount('a', '/x'), withMount('b', '/y'), withRoute('c', '/X/files')],
      'the path /x/files of the feature c is taken by a',
    ],
    [
      'a path of a router that is mounted',
      [withMount('a', '/x'), withMount('b', '/y'), withRoute('c', '/x/:name')],
      'the path /x/: of the feature c is taken by a',
    ],
    [
      'who is logged in',
      [withRoute('a', '/a', { users }), withRoute('b', '/b', { users })],
      'the feature b decides who is logged in, as another one does: leave one of them out',
    ],
    [
      'a name that no job can have',
      [withRoute('a', '/a', { jobs: [{ name: 'tidy up', run: async () => {} }] })],
      'the job "tidy up" of the feature a has a name with more than letters, digits and dashes',
    ],
  ])('%s', (_name, list, sentence) => {
    expect(() => open(...list)).toThrow(new InvalidEnvironment([sentence]))
  })
})

test('a start that cannot be ends with 78 and one sentence, for the app and for the image', async () => {
  for (const file of ['main.ts', 'cli/embedded.ts']) {
    const { said, ended } = spawnSource(file, { FEATURES_OFF: 'markets' })
    expect(await ended).toBe(78)
    expect(said.err).toBe(
      'The configuration is not usable:\n' +
        '  - the feature alerts needs markets, which is left out: leave out both or neither\n',
    )
  }
})

test('a job of a feature runs on its schedule, and its closer is called', async () => {
  let runs = 0
  let closed = false
  const ticking = defineFeature({
    name: 'ticking',
    setup: () => ({
      jobs: [
        {
          name: 'tick',
          schedule: { everyMs: 1_000, data: null, catchUp: 'skip' as const },
          async run() {
            runs += 1
          },
        },
      ],
      close: () => {
        closed = true
      },
    }),
  })
  const app = await startApp({ REDIS_URL: 'off' }, [...features, ticking])
  await eventually(() => expect(runs).toBeGreaterThan(0), 10_000)
  await app.close()
  expect(closed).toBe(true)
})

test('a value that the cache knows not to exist is sent as a 404, from its source and from the cache', async () => {
  const absent = defineFeature({
    name: 'absent',
    setup({ cache }) {
      const routes = Router()
      const policy = { staleMs: 1_000, absentMs: 60_000, parse: (json: unknown) => json as object }
      endpoint(routes, '/api/absent', {
        get: async (req, res) =>
          sendCached(req, res, await cache.getOrLoad('absent', policy, async () => undefined)),
      })
      return { routes }
    },
  })
  const app = await startApp({ REDIS_URL: 'off' }, [absent])
  for (const _ of ['source', 'cache']) {
    const answer = await app.get('/api/absent')
    expect([answer.status, await answer.json()]).toMatchObject([
      404,
      { detail: '/api/absent does not exist.' },
    ])
  }
  await app.close()
})
