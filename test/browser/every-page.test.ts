// Every page that the app has, in a real browser, under its own policy: the list is that of the app's routes. Nothing
// may be refused by the policy, fail to load, or be said as an error; no page may be blank, wider than its screen, or
// against the rules of axe-core. SCREENSHOTS=docs/images keeps what they look like, in docs/images/pages.
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { features } from '../../src/app.ts'
import type { Queue } from '../../src/core/queue/queue.ts'
import { defineFeature } from '../../src/feature.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { routesOfApp } from '../helpers/app-routes.ts'
import { closePages, startBrowser, watchPage } from '../helpers/browser.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FakeBotApi, startFakeBotApi } from '../helpers/fake-bot-api.ts'
import { type FakeCoinGecko, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'
import { type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const TOKEN = 'the-token-of-the-admin'
const bearer = { authorization: `Bearer ${TOKEN}` }
const HTML = { accept: 'text/html,application/xhtml+xml' }

let redis: TestRedis
let fake: FakeCoinGecko
let telegram: FakeTelegram
let bot: FakeBotApi
let app: TestApp
let browser: Browser
let problems: string[] = []
let queue: Queue
let isMended = false

/** Work that fails until it is mended. */
const broken = defineFeature({
  name: 'broken',
  setup: (context) => ({
    start: () => {
      queue = context.queue
    },
    jobs: [
      {
        name: 'mail',
        run: async () => {
          if (!isMended) throw new Error('no such server')
        },
      },
    ],
  }),
})

beforeAll(async () => {
  ;[redis, fake, telegram, bot] = await Promise.all([
    startRedis(),
    startFakeCoinGecko(),
    startFakeTelegram(),
    startFakeBotApi(),
  ])
  const env = {
    ...{ REDIS_URL: redis.url, TELEGRAM_API_URL: bot.url, ADMIN_TOKEN: TOKEN },
    ...{ ...PATIENCE, ...fake.env, ...telegram.env },
  }
  app = await startApp(env, [...features, broken as never])
  await app.untilStatus('redis')
  browser = await startBrowser()
})
beforeEach(() => {
  problems = []
})
afterEach(() => closePages(browser))
afterAll(async () => {
  await browser?.close()
  await app.close()
  await Promise.all([redis.stop(), fake.close(), telegram.close(), bot.close()])
})

/** Notes what is refused by the policy, what fails to load, and what is said as an error. */
function watch(page: Page): void {
  watchPage(page, problems)
  page.on('requestfailed', (asked) => {
    // What the page gives up itself, as when it is left.
    if (asked.failure()?.errorText !== 'net::ERR_ABORTED') problems.push(`${asked.url()}: not loaded`)
  })
  page.on('response', (answer) => {
    if (answer.status() >= 400) problems.push(`${answer.url()}: ${answer.status()}`)
  })
}

async function contextOf(options = {}): Promise<BrowserContext> {
  const context = await browser.newContext(options)
  await context.addInitScript(`addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    console.error('refused by the policy:', violatedDirective, blockedURI))`)
  context.on('page', watch)
  return context
}

/** What its user reads, once there is something. */
async function textOf(page: Page): Promise<string> {
  return eventually(async () => {
    const text = ((await page.evaluate('document.body.innerText')) as string).trim()
    if (text === '' || text === 'Loading') throw new Error(`${page.url()} is blank`)
    return text
  })
}

const DESK = { width: 1_280, height: 800 }
const PHONE = { width: 360, height: 800 }
/** Of each page: together every pair of language, screen and colours. */
const LOOKS = {
  en: [
    { viewport: DESK, colorScheme: 'light' },
    { viewport: PHONE, colorScheme: 'dark' },
  ],
  ru: [
    { viewport: PHONE, colorScheme: 'light' },
    { viewport: DESK, colorScheme: 'dark' },
  ],
} as const

/** What pictures are called of the pages that have one: of a user's, and of a guest's. */
const PICTURES = {
  user: new Map([
    ['/', 'home'],
    ['/markets', 'prices'],
    ['/account', 'account'],
    ['/call', 'calls'],
  ]),
  guest: new Map([
    ['/login', 'login'],
    ['/no-such-page', 'not-found'],
  ]),
}

async function keepPicture(page: Page, name: string | undefined): Promise<void> {
  const directory = process.env.SCREENSHOTS
  if (directory && name) await page.screenshot({ path: join(directory, 'pages', `${name}.png`) })
}

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
}

/** What is wrong with a page in both of its looks: by axe-core, and by its width. */
async function faultsOf(page: Page, language: keyof typeof LOOKS, picture?: string): Promise<string[]> {
  const faults: string[] = []
  await page.evaluate(`${axe.source}; 0`) // by the debugger: the policy of the page holds for the page
  for (const { viewport, colorScheme } of LOOKS[language]) {
    await page.setViewportSize(viewport)
    await page.emulateMedia({ colorScheme })
    const where = `${page.url()} ${viewport.width} ${colorScheme}`
    const screen = viewport === PHONE ? 'phone' : 'desktop'
    await keepPicture(page, picture && `${picture}-${language}-${screen}-${colorScheme}`)
    const width = (await page.evaluate('document.documentElement.scrollWidth')) as number
    if (width > viewport.width) faults.push(`${where}: ${width} wide`)
    const violations = (await page.evaluate(
      "axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)",
    )) as readonly Violation[]
    for (const { id, nodes } of violations)
      for (const { html, failureSummary } of nodes) faults.push(`${where}: ${id} ${html} ${failureSummary}`)
  }
  return faults
}

const inLanguage = (path: string, language: string) =>
  `${app.url}${path}${path.includes('?') ? '&' : '?'}lang=${language}`

/** The paths of all routes that answer with a page, of a user and of the admin. */
async function paths(): Promise<string[]> {
  const found: string[] = []
  for (const { method, path } of await routesOfApp()) {
    // What answers under /api is no page, also where it sends a browser on to one.
    if ((method !== 'GET' && method !== 'ALL') || path.startsWith('/api/')) continue
    const there = path.replace(/:\w+/g, 'some-name')
    const answer = await app.get(there, { headers: { ...HTML, ...bearer } })
    await answer.arrayBuffer()
    const isHere = answer.url.startsWith(app.url)
    if (isHere && answer.ok && answer.headers.get('content-type')?.startsWith('text/html')) found.push(there)
  }
  return found
}

async function enter(page: Page, query = ''): Promise<void> {
  await page.goto(`${app.url}/admin/login${query}`)
  await page.locator('input[name=token]').fill(TOKEN)
  await page.locator('main form button').click()
}

const boardIsThere = () =>
  eventually(async () => expect((await app.get('/admin/jobs', { headers: bearer })).status).toBe(200))

test('every page, for its user and for a guest, in one language and the other', async () => {
  await boardIsThere()
  const all = await paths()
  expect(all).toEqual(
    expect.arrayContaining([
      '/',
      '/markets',
      '/login',
      '/login/webapp',
      '/account',
      '/admin/login',
      '/admin/jobs',
    ]),
  )
  const page = await (await contextOf({ locale: 'en-GB' })).newPage()
  await page.goto(`${app.url}/login`)
  await page.locator('#oidc').click()
  await page.waitForURL('**/account')
  await enter(page)
  await page.waitForURL('**/admin/jobs/')
  const guest = await (await contextOf({ locale: 'ru-RU' })).newPage()
  for (const path of all) {
    for (const one of path.startsWith('/admin/jobs') ? [page] : [page, guest]) {
      await one.goto(app.url + path, { waitUntil: 'load' })
      expect((await textOf(one)).length).toBeGreaterThan(10)
    }
  }
  expect(problems).toEqual([])
})

// The board of jobs is another project's. What a guest gets in its place is the form of /admin/login, with a 401 that
// a browser without a dialog does not show.
test.each(['en', 'ru'] as const)(
  'in %s every page is within the rules of axe-core and its screen',
  async (language) => {
    await boardIsThere()
    const all = (await paths()).filter((path) => path !== '/admin/jobs')
    const page = await (await contextOf()).newPage()
    await page.goto(`${app.url}/login`)
    await page.locator('#oidc').click()
    await page.waitForURL('**/account')
    await page.goto(inLanguage('/markets', language))
    await page.locator('#alert-form input[name=value]').fill('1000000')
    await page.locator('#alert-form button').click()
    await page.locator('#alert-list li').first().waitFor()
    const room = (await page.evaluate(
      "fetch('/api/calls', { method: 'POST' }).then((made) => made.json()).then(({ path }) => path)",
    )) as string
    await enter(page)
    const guest = await (await contextOf()).newPage()
    const faults: string[] = []
    for (const path of [...all, room, '/?all=none']) {
      await page.goto(inLanguage(path, language), { waitUntil: 'load' })
      faults.push(...(await faultsOf(page, language, PICTURES.user.get(path))))
    }
    for (const path of ['/markets?q=bitcoin', '/login', '/call', '/admin/login', '/no-such-page']) {
      await guest.goto(inLanguage(path, language), { waitUntil: 'load' })
      faults.push(...(await faultsOf(guest, language, PICTURES.guest.get(path))))
    }
    expect(faults).toEqual([])
    expect(problems.filter((problem) => !/: 40[04]$| 40[04] /.test(problem))).toEqual([])
  },
)

describe('/admin/jobs', () => {
  beforeEach(boardIsThere)

  test('asks for the token in a form; a wrong one is said to be wrong, and the right one leads there', async () => {
    const context = await contextOf()
    const page = await context.newPage()
    await page.goto(`${app.url}/admin/login?lang=en`)
    await page.getByLabel('Admin token').fill('not-the-token')
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByText('That is not the token.').waitFor()
    await page.getByLabel('Admin token').fill(TOKEN)
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByText('check-alerts').first().waitFor()
    expect(page.url()).toBe(`${app.url}/admin/jobs/`)
    const [cookie] = (await context.cookies(`${app.url}/admin`)).filter(({ name }) => name === 'admin')
    expect(cookie).toMatchObject({ path: '/admin', httpOnly: true, sameSite: 'Strict' })
    expect(cookie?.value).not.toContain(TOKEN)
    expect(problems.filter((problem) => !problem.includes('401'))).toEqual([])
    problems = []
    await page.getByText('check-alerts').first().click()
    await page.waitForURL('**/queue/check-alerts*')
    await page.reload() // an address of its own inside the board
    await page.getByText('check-alerts').first().waitFor()
    await page.goto(`${app.url}/admin/login?lang=en`)
    await page.getByRole('button', { name: 'Leave' }).click()
    await page.getByLabel('Admin token').waitFor()
    expect((await context.request.get(`${app.url}/admin/jobs/`)).status()).toBe(401)
    expect(problems).toEqual([])
  })

  describe('below a path of a proxy', () => {
    let proxy: Server
    beforeAll(() => {
      proxy = createServer((req, res) => {
        const url = new URL(app.url)
        const asked = request(
          {
            ...{
              host: url.hostname,
              port: url.port,
              method: req.method,
              path: req.url?.replace(/^\/under\/it/, ''),
            },
            headers: { ...req.headers, 'x-forwarded-prefix': '/under/it' },
          },
          (answer) => {
            res.writeHead(answer.statusCode ?? 500, answer.headers)
            answer.pipe(res)
          },
        )
        req.pipe(asked)
      }).listen(0, '127.0.0.1')
    })
    afterAll(() => {
      proxy.closeAllConnections()
      proxy.close()
    })

    test('works, with the token as a password', async () => {
      // A browser is shown a form instead of being asked for a password: it has this from a link, or from a tool.
      const authorization = `Basic ${Buffer.from(`any:${TOKEN}`).toString('base64')}`
      const context = await contextOf({ extraHTTPHeaders: { authorization } })
      const page = await context.newPage()
      const here = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/under/it`
      await page.goto(`${here}/admin/jobs`)
      await page.getByText('check-alerts').first().waitFor()
      expect(page.url()).toBe(`${here}/admin/jobs/`)
      expect(problems.filter((problem) => !problem.includes('401'))).toEqual([])
    })
  })

  test('a dead letter is run again with a button', async () => {
    await queue.add('mail', null, { id: 'a letter', attempts: 1 })
    await eventually(() => expect(app.lines.some(({ fields }) => fields.outcome === 'dead')).toBe(true))
    const page = await (await contextOf()).newPage()
    await enter(page, '?to=jobs/dead%3Flang%3Den')
    await page.getByText('a letter').waitFor()
    isMended = true
    await page.getByRole('button', { name: 'Run again' }).click()
    await page.getByText('It runs again').waitFor()
    await eventually(async () => {
      await page.reload()
      expect(await page.getByText('There are none.').count()).toBe(1)
    })
    expect(problems).toEqual([])
  })
})
