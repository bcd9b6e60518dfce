// Alerts on the page at /markets in a real browser: one is made, the price moves, and its arrival is seen, on the
// page and by the bot. SCREENSHOTS=docs/images keeps what it looks like.
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { closePages, createPages, type Pages, startBrowser } from '../helpers/browser.ts'
import { eventually } from '../helpers/eventually.ts'
import { BOT_TOKEN, type FakeBotApi, startFakeBotApi } from '../helpers/fake-bot-api.ts'
import { type FakeCoinGecko, priceOf, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'
import { type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const LONG_MS = 240_000 // a check a minute: more than what a page usually takes

let redis: TestRedis
let fake: FakeCoinGecko
let telegram: FakeTelegram
let bot: FakeBotApi
let app: TestApp
let browser: Browser
let pages: Pages

beforeAll(async () => {
  ;[redis, fake, telegram, bot] = await Promise.all([
    startRedis(),
    startFakeCoinGecko(),
    startFakeTelegram(),
    startFakeBotApi(),
  ])
  app = await startApp({
    REDIS_URL: redis.url,
    ...PATIENCE,
    ...fake.env,
    ...telegram.env,
    COINGECKO_CALLS_PER_MINUTE: '600',
    COINGECKO_TTL: '1', // a check has a new price, and not one that is a minute old
    TELEGRAM_API_URL: bot.url,
    TELEGRAM_BOT_TOKEN: BOT_TOKEN,
  })
  await app.untilStatus('redis')
  browser = await startBrowser()
  pages = createPages(browser)
})
afterEach(() => closePages(browser))
afterAll(async () => {
  await browser?.close()
  await app.close()
  await Promise.all([redis.stop(), fake.close(), telegram.close(), bot.close()])
})

const open = (path: string, options?: BrowserContextOptions) => pages.open(app.url + path, options)

async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env.SCREENSHOTS
  if (directory) await page.locator('#alerts').screenshot({ path: join(directory, `${name}.png`) })
}

test('a visitor is shown the way in', async () => {
  const page = await open('/markets?lang=ru', { javaScriptEnabled: false })
  await page.getByRole('link', { name: 'Войдите, чтобы создавать уведомления' }).click()
  expect(page.url()).toContain('/login')
})

test('what goes wrong is said in the language of the page, and what has expired cannot be resumed', async () => {
  const page = await open('/login?lang=ru&return=%2Fmarkets%3Flang%3Dru', { locale: 'ru-RU' })
  await page.getByRole('link', { name: 'Войти через Telegram' }).click()
  await page.waitForURL('**/markets*')
  await page.getByLabel('Монета').fill('no-such-coin')
  await page.getByLabel('Значение').fill('1')
  await page.getByRole('button', { name: 'Создать уведомление' }).click()
  await page.getByText('У CoinGecko нет цены этой монеты в этой валюте.').waitFor()
  pages.problems.length = 0 // that answer, 422, which the browser notes

  const make = `(async () => {
    const expiresAt = new Date(Date.now() + 2_000).toISOString()
    const body = JSON.stringify({ coin: 'bitcoin', when: 'above', value: 1e9, expiresAt })
    const headers = { 'Content-Type': 'application/json' }
    return (await fetch('/api/alerts', { method: 'POST', headers, body })).status
  })()`
  // On a slow machine it may have expired by then.
  await eventually(async () => expect(await page.evaluate(make)).toBe(201))
  pages.problems.length = 0
  const item = page.locator('#alert-list li[data-status="expired"]')
  await eventually(async () => {
    await page.reload()
    await page.locator('#alert-list li').waitFor()
    expect(await item.count()).toBe(1)
  })
  expect(await item.getByRole('button').allTextContents()).toEqual(['Удалить'])
  await item.getByRole('button').click()
  await eventually(async () => expect(await page.locator('#alert-list li').count()).toBe(0))
  await page.close()
  expect(pages.problems).toEqual([])
})

test('a user whom the bot may not write to is told how to start it; when they come back it goes on', async () => {
  const description = "Forbidden: bot can't initiate conversation with a user"
  bot.chats.set(42, { status: 403, description })
  const page = await open('/login?lang=en&return=%2Fmarkets%3Flang%3Den', { locale: 'en-GB' })
  await page.getByRole('link', { name: 'Log in with Telegram' }).click()
  await page.waitForURL('**/markets*')
  const link = page.getByRole('link', { name: 'Start the bot' })
  await link.waitFor()
  expect(await link.getAttribute('href')).toBe('https://t.me/samovar_bot?start=alerts')
  bot.chats.delete(42)
  await page.evaluate("dispatchEvent(new Event('focus'))")
  await link.waitFor({ state: 'hidden' })
  expect(pages.problems).toEqual([])
})

test('an alert is made, waits, arrives and is deleted', async () => {
  const page = await open('/login?lang=en&return=%2Fmarkets', { locale: 'en-GB' })
  await page.getByRole('link', { name: 'Log in with Telegram' }).click()
  await page.waitForURL('**/markets*')
  expect(await page.locator('#coins tbody tr').count()).toBe(50)

  await page.getByLabel('Coin').fill('no-such-coin')
  await page.getByLabel('Value').fill('1')
  await page.getByRole('button', { name: 'Create the alert' }).click()
  await page.getByText('CoinGecko has no price of that coin').waitFor()
  pages.problems.length = 0 // that answer, 422, which the browser notes

  await page.getByLabel('Coin').fill('bitcoin')
  await page.getByLabel('Value').fill(String(priceOf('bitcoin') + 500))
  await page.getByRole('button', { name: 'Create the alert' }).click()
  await page.locator('#alert-list li[data-status="open"]').waitFor()
  expect(await page.locator('#alert-list').textContent()).toContain('Bitcoin rises to 10,500 USD · waiting')

  fake.moved.set('bitcoin', 11_000)
  await page.locator('#alert-arrivals li').waitFor({ timeout: LONG_MS })
  expect(await page.locator('#alert-arrivals').textContent()).toContain(
    'Bitcoin is above 10,500 USD: 11,000 USD',
  )
  await page.locator('#alert-list li[data-status="done"]').waitFor()
  await eventually(() =>
    expect(bot.messages.map(({ text }) => text)).toEqual(['bitcoin is above 10,500 USD: 11,000 USD']),
  )
  await keepPicture(page, 'alerts')
  expect(await page.locator('#alert-arrivals li').count()).toBe(1)

  await page.setViewportSize({ width: 360, height: 640 })
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
  await page.getByRole('button', { name: 'Delete' }).click()
  await eventually(async () => expect(await page.locator('#alert-list li').count()).toBe(0))
  expect(pages.problems).toEqual([])
})
