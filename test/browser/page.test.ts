// The page at / in a real browser: both languages, with and without JavaScript, while Redis is there and while not.
// SCREENSHOTS=docs/images keeps what it looks like in an outage, for the READMEs.
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { closePages, createPages, type Pages, startBrowser } from '../helpers/browser.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

let redis: TestRedis
let app: TestApp
let browser: Browser
let pages: Pages

beforeAll(async () => {
  redis = await startRedis()
  app = await startApp({ REDIS_URL: redis.url, ...PATIENCE })
  await app.untilStatus('redis')
  browser = await startBrowser()
  pages = createPages(browser)
})
afterEach(() => closePages(browser))
afterAll(async () => {
  await browser?.close()
  await app.close()
  await redis.stop()
})

async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env.SCREENSHOTS
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`) })
}

const open = (path: string, options?: BrowserContextOptions) => pages.open(app.url + path, options)

test('in the language of the browser, with a link to the other', async () => {
  const page = await open('/', { locale: 'ru-RU' })
  expect(await page.title()).toBe('Самовар')
  expect(await page.locator('#rows tr').count()).toBe(10)
  expect(await page.locator('#count').textContent()).toBe('252')
  await page.getByRole('link', { name: 'Показать все' }).click()
  expect(await page.locator('#rows tr').count()).toBe(252)
  await page.getByRole('link', { name: 'English' }).click()
  expect(await page.title()).toBe('Samovar')
  expect(await page.locator('html').getAttribute('lang')).toBe('en')
})

test('searches as one types, and the address can be shared', async () => {
  const page = await open('/?lang=en')
  await page.getByRole('searchbox').fill('germ')
  await eventually(async () => expect(await page.locator('#rows tr').count()).toBe(1))
  expect(await page.locator('#rows').textContent()).toContain('Berlin')
  expect(page.url()).toContain('q=germ')
  await page.getByRole('searchbox').fill('nowhere')
  await page.getByText('No country matches.').waitFor({ state: 'visible' })
})

test('works without JavaScript', async () => {
  const page = await open('/?lang=ru', { javaScriptEnabled: false })
  await page.getByRole('searchbox').fill('<b>япон')
  await page.getByRole('button', { name: 'Найти' }).click()
  expect(await page.getByText('Ничего не нашлось.').isVisible()).toBe(true)
  await page.getByRole('searchbox').fill('япон')
  await page.getByRole('button', { name: 'Найти' }).click()
  expect(await page.locator('#rows tr').count()).toBe(1)
})

test.each([
  ['a desktop', 1_280],
  ['a phone', 360],
])('is shorter than two screens of %s', async (_screen, width) => {
  for (const lang of ['en', 'ru']) {
    const page = await open(`/?lang=${lang}`, { viewport: { width, height: 800 } })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    expect(await page.evaluate('document.documentElement.scrollHeight')).toBeLessThanOrEqual(1_600)
  }
})

test('times are the reader’s; without JavaScript they are in UTC, which is named', async () => {
  const options = { timezoneId: 'Asia/Vladivostok' }
  const { since: iso } = (await (await app.get('/status')).json()) as { since: string }
  const there = {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  } as const
  const format = (locale: string, timeZone: string) =>
    new Intl.DateTimeFormat(locale, { ...there, timeZone }).format(new Date(iso)).replace(' г.', '\u00a0г.')
  for (const [lang, locale] of [
    ['en', 'en-GB'],
    ['ru', 'ru'],
  ] as const) {
    const since = (page: Page) => page.locator('#since').textContent()
    expect(await since(await open(`/?lang=${lang}`, options))).toBe(format(locale, options.timezoneId))
    const still = await open(`/?lang=${lang}`, { ...options, javaScriptEnabled: false })
    expect(await since(still)).toBe(`${format(locale, 'UTC')} UTC`)
  }
})

test('says by itself when Redis is gone', async () => {
  const shape = { viewport: { width: 900, height: 560 }, deviceScaleFactor: 1.5 }
  const page = await open('/?lang=en', shape)
  const whole = { javaScriptEnabled: false }
  expect(await page.locator('#status-word').textContent()).toBe('Redis answers')
  expect(await page.locator('#outage-length').textContent()).toBe('none')
  expect(await page.locator('#outage').isHidden()).toBe(true)
  expect(await (await open('/?lang=ru', whole)).locator('#outage-length').textContent()).toBe('не было')
  await redis.kill()
  await page.getByText('serving from memory').waitFor()
  await page.getByText('still lasting').waitFor()
  await keepPicture(page, 'outage')
  await keepPicture(await open('/?lang=ru', shape), 'outage-ru')
  await redis.start()
  await page.getByText('Redis answers').waitFor()
  await page.getByText(/calls answered from memory: \d+/).waitFor()
  expect(await page.locator('#outage-length').textContent()).toMatch(/^00:00:\d\d$/)
  const russian = await open('/?lang=ru', whole)
  expect(await russian.locator('#outage').textContent()).toMatch(
    /^с \d+ .*\d{4}.* UTC,\s+ответов из памяти: \d+$/,
  )
})

test('nothing went wrong on any of these pages', () => {
  expect(pages.problems).toEqual([])
})
