// Refusals and failures as people see them: a page in their language with the sentence of the problem document, the
// site's header, and a way on. Programs, and everybody below /api, get the document as ever.
import { Router } from 'express'
import { features } from '../../src/app.ts'
import { notLoggedIn, tokenRequired, tooMany, tooManyAtOnce, unavailable } from '../../src/errors.ts'
import { defineFeature } from '../../src/feature.ts'
import { answerOf, isForPerson } from '../../src/http/admission/refusals.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { sendRaw } from '../helpers/raw-request.ts'
import { initDataFields, signInitData } from '../helpers/telegram-signer.ts'
import { visit } from '../helpers/visitor.ts'

const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
const DOCUMENT = 'application/problem+json'

const failures: Record<string, () => Error> = {
  limit: () => tooMany(60_000),
  away: () => unavailable('away', 'It is away <for now>.', 7_000),
  token: tokenRequired,
  login: notLoggedIn,
  bug: () => new Error('a secret of ours'),
}
const failing = defineFeature({
  name: 'failing',
  setup() {
    const routes = Router()
    for (const where of ['', '/api'])
      routes.all(`${where}/failing/:how`, (req) => {
        throw failures[String(req.params.how)]?.() ?? new Error('no such failure')
      })
    return { routes }
  },
})

let app: TestApp
beforeAll(async () => {
  app = await startApp({ REDIS_URL: 'off', TELEGRAM_BOT_TOKEN: BOT_TOKEN }, [...features, failing as never])
})
afterAll(() => app.close())

const detailOf = async (path: string) =>
  ((await (await app.get(path)).json()) as { detail: string }).detail.replaceAll(/[<>]/g, (one) =>
    one === '<' ? '&lt;' : '&gt;',
  )

test.each([
  ['/nowhere', 404, undefined],
  ['/?all=perhaps', 400, undefined],
  ['/call/room/more', 404, undefined],
  ['/failing/token', 401, undefined],
  ['/failing/limit', 429, '60'],
  ['/failing/away', 503, '7'],
  ['/failing/bug', 500, undefined],
])('%s is %i for a browser as for a program, with the same sentence', async (path, status, retryAfter) => {
  const document = await app.get(path)
  expect([document.status, document.headers.get('content-type')]).toEqual([status, DOCUMENT])
  const page = await app.get(path, { headers: { ...BROWSER, 'accept-language': 'ru' } })
  expect([page.status, page.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8'])
  expect(page.headers.get('cache-control')).toBe('no-store')
  expect(page.headers.get('retry-after') ?? undefined).toBe(retryAfter)
  expect(page.headers.get('www-authenticate')).toBe(document.headers.get('www-authenticate'))
  expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
  const text = await page.text()
  expect(text).toContain(await detailOf(path))
  expect(text).toContain('<html lang="ru">')
  expect(text).toContain('aria-label="Разделы"')
  expect(text).not.toContain('a secret of ours')
})

test('below /api, and for all who do not prefer HTML, it is the problem document', async () => {
  for (const path of [
    '/api/nowhere',
    '/API/nowhere',
    '/api/failing/bug',
    '//api/nowhere',
    '/static/none.js',
  ]) {
    const answer = await app.get(path, { headers: BROWSER })
    expect([path, answer.headers.get('content-type')]).toEqual([path, DOCUMENT])
  }
  for (const accept of ['*/*', 'application/json', 'application/json, text/html', 'image/avif', ''])
    expect((await app.get('/nowhere', { headers: { accept } })).headers.get('content-type')).toBe(DOCUMENT)
})

test('a form that is refused is answered with a page, too', async () => {
  const answer = await app.get('/account/logout', {
    method: 'POST',
    headers: { ...BROWSER, 'sec-fetch-site': 'cross-site' },
  })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([403, 'text/html; charset=utf-8'])
  expect(await answer.text()).toContain('A page of another site may not change anything here.')
})

test('what is refused before all else is made once, as a document and as a page', () => {
  const refusal = tooManyAtOnce()
  const page = answerOf(refusal, 'page').toString()
  expect(page).toMatch(/^HTTP\/1\.1 429 .*\r\nContent-Type: text\/html.*Retry-After: 1\r\n/s)
  expect(page).toContain(refusal.message)
  expect(answerOf(refusal, 'page')).toBe(answerOf(refusal, 'page'))
  expect(answerOf(refusal).toString()).toContain(`Content-Type: ${DOCUMENT}`)
  const asked = (url: string, accept?: string) => isForPerson({ url, headers: { accept } } as never)
  expect([
    asked('/', BROWSER.accept),
    asked('/api/coins', BROWSER.accept),
    asked('/', '*/*'),
    asked('/'),
  ]).toEqual([...[true, false, false, false]])
})

test('who must log in is led there; where it may work later one can try again', async () => {
  const page = async (path: string) => (await app.get(path, { headers: BROWSER })).text()
  expect(await page('/failing/login')).toContain('<a class="button" href="/login?lang=en">')
  expect(await page('/failing/away?a=1&b="')).toContain(
    '<a class="button" href="/failing/away?a=1&amp;b=%22&amp;lang=en">',
  )
  expect(await page('/failing/token')).not.toContain('class="button"')
  const without = await startApp({ REDIS_URL: 'off', FEATURES: 'failing' }, [...features, failing as never])
  try {
    const refused = await (await without.get('/failing/login', { headers: BROWSER })).text()
    expect(refused).toContain('role="alert"')
    expect(refused).not.toContain('"/login?') // that would be a page that is not there
  } finally {
    await without.close()
  }
})

test('no address leads to another site', async () => {
  for (const path of ['//evil.example/x', '/\\evil.example', '/%5Cevil.example']) {
    const bytes = Buffer.from(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n`,
    )
    const { body } = await sendRaw(Number(new URL(app.url).port), { bytes, isCut: false })
    expect(body).toContain('lang=')
    expect(body).not.toMatch(/href="(\/\/|\/\\|https?:)/)
  }
})

test('the header names who is logged in, everywhere but where that costs what there is no room for', async () => {
  const visitor = visit(app)
  const user = JSON.stringify({ id: 5, first_name: '<i>Анна</i>' })
  await visitor.post('/api/auth/telegram/webapp', {
    initData: await signInitData(initDataFields({ user }), BOT_TOKEN),
  })
  for (const path of ['/', '/markets', '/call', '/account', '/login', '/nowhere', '/admin/login']) {
    const header = /<header>.*<\/header>/s.exec(await (await visitor.get(path, BROWSER)).text())?.[0] ?? ''
    expect([path, header]).toEqual([path, expect.stringContaining('&lt;i&gt;Анна&lt;/i&gt;')])
    expect([path, header]).toEqual([path, expect.stringContaining('action="/account/logout?lang=en"')])
  }
  for (const path of ['/failing/limit', '/failing/away'])
    expect(await (await visitor.get(path, BROWSER)).text()).toMatch(/id="account">Account<\/a>/)
  const guest = await (await app.get('/', { headers: BROWSER })).text()
  expect(guest).toContain('<a href="/login?lang=en">Log in</a>')
  expect(guest).not.toContain('/account/logout')
})

test('/favicon.ico is an icon, which is kept for a day', async () => {
  const answer = await app.get('/favicon.ico')
  expect(answer.headers.get('content-type')).toMatch(/^image\/(x-icon|vnd.microsoft.icon)/)
  expect(answer.headers.get('cache-control')).toBe('public, max-age=86400')
  const icon = Buffer.from(await answer.arrayBuffer())
  expect([icon.readUInt16LE(0), icon.readUInt16LE(2), icon.readUInt16LE(4)]).toEqual([0, 1, 3])
  for (let i = 0; i < 3; i += 1) {
    const [size, at] = [icon.readUInt32LE(6 + 16 * i + 8), icon.readUInt32LE(6 + 16 * i + 12)]
    expect(icon.subarray(at, at + 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n')
    expect(at + size).toBeLessThanOrEqual(icon.length)
  }
})
