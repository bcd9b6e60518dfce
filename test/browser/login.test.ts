// Logging in and out in a real browser, at a Telegram of our own. SCREENSHOTS=docs/images keeps what it looks like.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { startApp, type TestApp } from '../helpers/app.ts'
import { closePages, startBrowser, watchPage } from '../helpers/browser.ts'
import { BOT_TOKEN, type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { initDataFields, signInitData, signWidget, widgetFields } from '../helpers/telegram-signer.ts'

const PHONE = { viewport: { width: 360, height: 640 }, deviceScaleFactor: 2 }
const PIXEL =
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) ' +
  'Chrome/140.0.0.0 Mobile Safari/537.36'
const WINDOWS =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'

let telegram: FakeTelegram
let app: TestApp
let browser: Browser
const problems: string[] = []

beforeAll(async () => {
  telegram = await startFakeTelegram()
  app = await startApp({ REDIS_URL: 'off', ...telegram.env, TELEGRAM_WIDGET: 'true' })
  browser = await startBrowser()
})
afterAll(async () => {
  await browser?.close()
  await app.close()
  await telegram.close()
})
afterEach(async () => {
  telegram.denies = false
  await closePages(browser)
})

async function open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
  return openIn(await browser.newContext(options), path)
}

async function openIn(context: BrowserContext, path: string): Promise<Page> {
  const page = await context.newPage()
  watchPage(page, problems)
  await page.goto(path.startsWith('http') ? path : app.url + path)
  return page
}

async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env.SCREENSHOTS
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`) })
}

const pathOf = (page: Page) => page.url().slice(app.url.length)
const devicesOn = (page: Page) => page.locator('.devices li').count()

test('logged in on one device, seen on another, and logged out from there', async () => {
  const phone = await open('/login?lang=en', { ...PHONE, userAgent: PIXEL })
  await keepPicture(phone, 'login')
  await phone.getByRole('link', { name: 'Log in with Telegram' }).click()
  await phone.waitForURL('**/account')
  expect(await phone.locator('#user').textContent()).toBe('Anna Smirnova')
  expect(await devicesOn(phone)).toBe(1)
  expect(await phone.locator('.devices li').textContent()).toMatch(/Android.*this device/s)

  const desk = await open('/login?lang=en', { userAgent: WINDOWS })
  await desk.getByRole('link', { name: 'older Telegram widget' }).click()
  await desk.waitForURL('**/account')
  expect(await devicesOn(desk)).toBe(2)
  await phone.reload()
  expect(await devicesOn(phone)).toBe(2)
  await keepPicture(phone, 'account')
  expect(await phone.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)

  await desk.getByRole('button', { name: /Log out there.*Android/ }).click()
  await desk.waitForURL('**/account?lang=en')
  expect(await devicesOn(desk)).toBe(1)
  await phone.reload()
  expect(pathOf(phone)).toMatch(/^\/login/)
  expect(await phone.getByRole('link', { name: 'Log in with Telegram' }).isVisible()).toBe(true)

  await desk.getByRole('button', { name: 'Log out' }).click()
  await desk.waitForURL('**/login?lang=en')
  await desk.goto(`${app.url}/account`)
  expect(pathOf(desk)).toMatch(/^\/login/)
})

test('in Russian and without JavaScript', async () => {
  const options = { locale: 'ru-RU', javaScriptEnabled: false, userAgent: WINDOWS }
  const [here, there] = [await open('/login', options), await open('/login', options)]
  await keepPicture(here, 'login-ru')
  for (const page of [here, there]) {
    await page.getByRole('link', { name: 'Войти через Telegram' }).click()
    expect(await page.locator('h1').textContent()).toBe('Учётная запись')
  }
  await keepPicture(there, 'account-ru')
  await there.getByRole('button', { name: 'Выйти везде, кроме этого устройства' }).click()
  expect(await devicesOn(there)).toBe(1)
  await here.reload()
  expect(await here.locator('h1').textContent()).toBe('Вход')
  await there.getByRole('button', { name: 'Выйти', exact: true }).click()
  expect(await there.locator('h1').textContent()).toBe('Вход')
})

test('a Mini App logs in by itself, in its own window and after a reload', async () => {
  const user = JSON.stringify({ id: 7, first_name: 'Вера', language_code: 'ru' })
  const data = encodeURIComponent(await signInitData(initDataFields({ user }), BOT_TOKEN))
  const context = await browser.newContext(PHONE)
  await context.addInitScript('window.TelegramWebviewProxy = {}') // as Telegram's apps have it
  const page = await openIn(context, `/login/webapp?lang=ru#tgWebAppData=${data}&tgWebAppVersion=9.1`)
  await page.getByText('Вы вошли как Вера').waitFor()
  await keepPicture(page, 'mini-app-ru')
  await page.reload()
  await page.getByText('Вы вошли как Вера').waitFor()
  await page.getByRole('link', { name: 'English' }).click()
  await page.getByText('You are logged in as Вера').waitFor()
  await page.getByRole('link', { name: 'Your devices' }).click()
  expect(await devicesOn(page)).toBe(1)
})

test('outside Telegram the Mini App’s page leads to the login', async () => {
  const page = await open('/login/webapp?lang=en')
  await page.getByRole('link', { name: 'Log in', exact: true }).click()
  expect(pathOf(page)).toBe('/login?lang=en')
})

test('a link logs nobody in: neither one to the Mini App’s page nor one to the widget’s way back', async () => {
  const id = JSON.stringify({ id: 666, first_name: 'Mallory' })
  const data = encodeURIComponent(
    await signInitData(initDataFields({ user: id, query_id: 'link' }), BOT_TOKEN),
  )
  const page = await open(`/login/webapp?lang=en#tgWebAppData=${data}`)
  await page.getByText('This page belongs inside Telegram').waitFor()

  const fields = await signWidget(widgetFields({ id: '666', first_name: 'Mallory' }), BOT_TOKEN)
  const answer = Buffer.from(JSON.stringify(fields)).toString('base64url')
  const context = await browser.newContext()
  // Also where a login has begun: the one who made the link does not know which.
  await context.request.get(`${app.url}/api/auth/telegram/widget`, { maxRedirects: 0 })
  for (const query of ['lang=en', 'lang=en&attempt=AAAAAAAAAAAAAAAAAAAAAA']) {
    const victim = await context.newPage()
    await victim.goto(`${app.url}/login?${query}#tgAuthResult=${answer}`)
    await victim.getByText('did not begin in this browser').waitFor()
    expect(pathOf(victim)).toBe('/login?lang=en')
    await keepPicture(victim, 'login-refused')
  }
  expect((await context.request.get(`${app.url}/api/me`)).status()).toBe(401)
})

test('nothing went wrong on any of these pages', () => {
  expect(problems).toEqual([])
})

describe('in frames', () => {
  const framing = (src: string) => `<!doctype html><iframe src="${src}" width="400" height="400"></iframe>`

  test('of Telegram’s web client the Mini App’s page logs in', async () => {
    const data = encodeURIComponent(await signInitData(initDataFields({ query_id: 'framed' }), BOT_TOKEN))
    const context = await browser
      .newContext({ permissions: ['local-network-access'] })
      .catch(() => browser.newContext())
    await context.route('https://web.telegram.org/**', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: framing(`${app.url}/login/webapp?lang=en#tgWebAppData=${data}`),
      }),
    )
    const page = await context.newPage()
    await page.goto('https://web.telegram.org/a/')
    const frame = page.frameLocator('iframe')
    await frame.getByText('You are logged in as Anna Smirnova').waitFor()
    expect(await frame.getByRole('link', { name: 'Your devices' }).isVisible()).toBe(false)
  })

  test.each(['/login/webapp', '/login', '/account'])('of anybody else %s does not appear', async (path) => {
    const stranger = createServer((_req, res) => {
      res.setHeader('Content-Type', 'text/html').end(framing(app.url + path))
    }).listen(0, '127.0.0.1')
    try {
      const page = await (await browser.newContext()).newPage()
      const refused = page.waitForEvent('console', (message) => message.text().includes('frame-ancestors'))
      await page.goto(`http://localhost:${(stranger.address() as AddressInfo).port}/`)
      await refused
      expect(await page.frameLocator('iframe').locator('header').count()).toBe(0)
    } finally {
      stranger.closeAllConnections()
      stranger.close()
    }
  })
})

test('somebody who says no at Telegram’s widget is told so, and may try again', async () => {
  telegram.denies = true
  const page = await open('/login?lang=en')
  await page.getByRole('link', { name: 'older Telegram widget' }).click()
  await page.getByText('Telegram did not confirm this login').waitFor()
  expect(pathOf(page)).toBe('/login?lang=en') // nothing of the answer is left in the address
  telegram.denies = false
  await page.getByRole('link', { name: 'Log in with Telegram' }).click()
  await page.waitForURL('**/account')
})

test('somebody who says no at Telegram is told so, can reload that, and may try again', async () => {
  telegram.denies = true
  const page = await open('/login?lang=en&return=%2Faccount%3Flang%3Den')
  await page.getByRole('link', { name: 'Log in with Telegram' }).click()
  await page.getByText('You said no at Telegram').waitFor()
  expect(pathOf(page)).toMatch(/^\/login\?notice=declined/)
  await page.reload()
  await page.getByText('You said no at Telegram').waitFor()
  telegram.denies = false
  await page.getByRole('link', { name: 'Log in with Telegram' }).click()
  await page.waitForURL('**/account*')
  await page.goBack()
  await page.getByText('You are logged in as').waitFor()
})
