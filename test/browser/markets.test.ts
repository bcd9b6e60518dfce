// The page at /markets in a real browser: prices, charts and search in both languages, with and without JavaScript, on
// a phone, and while CoinGecko is away. SCREENSHOTS=docs/images keeps what it looks like.
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { type Ahead, beginAhead } from '../helpers/ahead.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { closePages, createPages, type Pages, startBrowser } from '../helpers/browser.ts'
import { coinIds } from '../helpers/coin-ids.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FakeCoinGecko, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'

let time: Ahead
let fake: FakeCoinGecko
let app: TestApp
let browser: Browser
let pages: Pages

beforeAll(async () => {
  time = beginAhead()
  fake = await startFakeCoinGecko()
  app = await startApp({ REDIS_URL: 'off', ...fake.env })
  browser = await startBrowser()
  pages = createPages(browser)
})
afterEach(() => closePages(browser))
afterAll(async () => {
  await browser?.close()
  await app.close()
  await fake.close()
  time.end()
})

const open = (path: string, options?: BrowserContextOptions) => pages.open(app.url + path, options)

async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env.SCREENSHOTS
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`) })
}

const rows = (page: Page) => page.locator('#coins tbody tr')

test('prices with a chart each, in the language of the browser and the currency chosen', async () => {
  const page = await open('/markets', { locale: 'en-GB' })
  expect(await page.title()).toBe('Prices · Samovar')
  expect(await rows(page).count()).toBe(50)
  expect(await rows(page).first().textContent()).toContain('Bitcoin BTC')
  expect(await rows(page).first().textContent()).toContain('$10,000.00')
  expect(await page.locator('#coins polyline').count()).toBe(50)
  await keepPicture(page, 'markets')
  await page.getByRole('combobox').selectOption('rub')
  await eventually(async () => expect(await rows(page).first().textContent()).toContain('RUB'))
  await page.getByRole('link', { name: 'Русский' }).click()
  expect(await page.title()).toBe('Цены · Самовар')
  expect(page.url()).toContain('lang=ru')
})

test('searches as one types, and the address can be shared', async () => {
  const page = await open('/markets?lang=en')
  await page.getByRole('searchbox').fill('cardan')
  await eventually(async () => expect(await rows(page).count()).toBe(1))
  expect(page.url()).toContain('q=cardan')
  await page.reload()
  expect(await rows(page).count()).toBe(1)
  await page.getByRole('searchbox').fill('<b>')
  await page.getByText('No coin matches.').waitFor()
})

test('works without JavaScript, page by page', async () => {
  const page = await open('/markets?lang=ru', { javaScriptEnabled: false })
  await page.getByRole('link', { name: 'Дальше' }).click()
  expect(await rows(page).first().locator('td').first().textContent()).toBe('51')
  await page.getByRole('link', { name: 'Назад' }).click()
  await page.getByRole('combobox').selectOption('eur')
  await page.getByRole('searchbox').fill('bitcoin')
  await page.getByRole('button', { name: 'Показать' }).click()
  expect(await rows(page).count()).toBe(4)
  expect(await rows(page).first().textContent()).toContain('€')
})

test('by the keyboard alone', async () => {
  const page = await open('/markets?lang=en')
  const focused = () => page.evaluate('document.activeElement.textContent || document.activeElement.name')
  const seen: unknown[] = []
  for (let i = 0; i < 11; i += 1) {
    await page.keyboard.press('Tab')
    seen.push(String(await focused()).trim())
  }
  expect(seen.slice(0, 7)).toEqual([
    ...['Skip to the content', 'Samovar', 'Prices', 'Alerts', 'Calls', 'Log in', 'Русский'],
  ])
  expect(seen.slice(8)).toEqual(['q', 'Show', 'Next'])
  await page.keyboard.press('Enter')
  await page.waitForURL('**page=2')
  expect(await rows(page).first().locator('td').first().textContent()).toBe('51')
  // What is skipped is the header: the next stop is the first control of the content.
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  expect(await page.evaluate('document.activeElement.name')).toBe('vs')
})

test('fits a phone', async () => {
  const page = await open('/markets?lang=ru', { viewport: { width: 360, height: 640 }, deviceScaleFactor: 2 })
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
  for (const column of [1, 2, 3, 4]) {
    const cell = rows(page).first().locator('th, td').nth(column)
    expect([column, await cell.isVisible()]).toEqual([column, true])
  }
  await keepPicture(page, 'markets-phone-ru')
})

test('says how many calls it saved', async () => {
  const page = await open('/markets?lang=en')
  expect(Number(await page.locator('#calls').textContent())).toBe(fake.calls.length)
  expect(Number.parseInt((await page.locator('#saved-calls').textContent()) ?? '', 10)).toBeGreaterThan(5)
})

test('ids, prices and names of every kind are shown as they are', async () => {
  const odd: [string, number, string][] = [
    ['hive_dollar', 0, '$0'],
    ['boringdao-[old]', 1e-12, '$0.000000000001'],
    ['1move token', 1.5e18, '$1.5E18'],
    ['100% <b>монета', 7, '$7.00'],
  ]
  for (const [id, price] of odd) {
    fake.extra.push(id)
    fake.moved.set(id, price)
  }
  // They are among the 250 largest in place of others, and first, as CoinGecko might have it.
  for (const id of coinIds.slice(-odd.length)) fake.removed.add(id)
  fake.distort = (rows) => [...rows.slice(-odd.length), ...rows.slice(0, -odd.length)]
  time.pass(20 * 60_000)
  await open('/markets?lang=en')
  const page = await open('/markets?lang=en')
  await eventually(async () => {
    await page.reload()
    const found = odd.map(async (_, i) => {
      const row = rows(page).nth(i)
      return [await row.getAttribute('data-id'), await row.locator('td').nth(1).textContent()]
    })
    expect(await Promise.all(found)).toEqual(odd.map(([id, , shown]) => [id, shown]))
  })
  expect(await page.locator('#attribution a').getAttribute('href')).toBe('https://www.coingecko.com/')
  fake.distort = undefined
})

test('old prices are seen to be old, also where they are drawn', async () => {
  fake.fault = 500
  time.pass(5 * 60_000)
  await open('/markets?lang=en')
  const page = await open('/markets?lang=en', { colorScheme: 'dark' })
  await page.getByText('Some prices are outdated').waitFor()
  expect(await page.locator('#coins tr.stale').count()).toBe(50)
  expect(await page.locator('.outdated').first().isVisible()).toBe(true)
  await keepPicture(page, 'markets-stale')
  const phone = await open('/markets?lang=ru', { viewport: { width: 360, height: 640 } })
  expect(await phone.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
  expect(await phone.locator('.outdated').first().isVisible()).toBe(true)
  fake.fault = undefined
})

test('nothing went wrong on any of these pages', () => {
  expect(pages.problems).toEqual([])
})
