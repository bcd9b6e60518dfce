// Calls between real browsers, with Chromium's own fake camera and microphone. SCREENSHOTS=docs/images keeps what it
// looks like.
import { join as joinPath } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { closePages, createPages, type Pages, startBrowser } from '../helpers/browser.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually, HUNG_MS } from '../helpers/eventually.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { freePort } from '../helpers/free-port.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { startTcpProxy } from '../helpers/tcp-proxy.ts'
import { initDataFields, signInitData } from '../helpers/telegram-signer.ts'

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 }
const ENOUGH_FRAMES = 10
const RESUME_MS = 30_000 // so long the server keeps the seat of a lost socket
const TRIES_AGAIN_MS = 4_000 // so long a page waits for an answer before it tries again by itself

let browser: Browser
let redis: TestRedis
let app: TestApp
let pages: Pages

beforeAll(async () => {
  redis = await startRedis()
  app = await startApp({ REDIS_URL: redis.url, ...PATIENCE })
  await app.untilStatus('redis')
  browser = await startBrowser({ hasFakeMedia: true })
  pages = createPages(browser)
})
afterEach(() => closePages(browser))
afterAll(async () => {
  await browser?.close()
  await app.close()
  await redis.stop()
})

test('guests are marked, whatever name they choose, also one that is too long for its tile', async () => {
  const site = await startApp({ REDIS_URL: 'off', TELEGRAM_BOT_TOKEN: BOT_TOKEN, ...PATIENCE })
  try {
    const user = JSON.stringify({ id: 42, first_name: 'Anna' })
    const login = await site.get('/api/auth/telegram/webapp', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ initData: await signInitData(initDataFields({ user }), BOT_TOKEN) }),
    })
    const [name = '', value = ''] = (login.headers.getSetCookie()[0] ?? '').split(';')[0]?.split('=') ?? []
    const context = await browser.newContext({
      ...PHONE,
      locale: 'ru-RU',
      permissions: ['camera', 'microphone'],
    })
    await context.addCookies([{ name, value, url: site.url }])
    const made = await context.request.post(`${site.url}/api/calls`, { data: { kind: 'group' } })
    const { path } = (await made.json()) as { path: string }
    const anna = await context.newPage()
    await anna.goto(site.url + path)
    await anna.locator('#before button').click()
    await anna.locator('#call[data-state=alone]').waitFor()
    const guest = await enter(site.url + path, 'Anna')
    await guest.locator('#people .name', { hasText: /^Anna$/ }).waitFor() // the one who is logged in
    await anna.locator('#said .event', { hasText: 'Anna (гость) в звонке' }).waitFor()
    await anna.locator('#people .name', { hasText: 'Anna (гость)' }).waitFor()
    await guest.locator('#text').fill('Hello')
    await guest.locator('#text').press('Enter')
    await anna.locator('#said strong', { hasText: 'Anna (гость):' }).waitFor()
    const long = await enter(site.url + path, 'Anna'.padEnd(40, 'W'))
    for (const page of [anna, guest]) {
      const mark = page.locator('#people .name', { hasText: 'WWW' }).locator('em')
      await mark.waitFor()
      const [tile, seen] = await Promise.all([
        page.locator('#people li', { hasText: 'WWW' }).boundingBox(),
        mark.boundingBox(),
      ])
      expect((seen?.x ?? 1e9) + (seen?.width ?? 0)).toBeLessThanOrEqual((tile?.x ?? 0) + (tile?.width ?? 0))
    }
    if (process.env.SCREENSHOTS)
      await anna.screenshot({ path: joinPath(process.env.SCREENSHOTS, 'call-guests-ru.png'), fullPage: true })
    await guest.locator('#leave').click()
    await anna.locator('#people[data-count="2"]').waitFor()
    const [mark, corner] = await Promise.all([
      anna.locator('#people .name', { hasText: 'WWW' }).locator('em').boundingBox(),
      anna.locator('#people li').first().boundingBox(),
    ])
    expect((mark?.x ?? 1e9) + (mark?.width ?? 0)).toBeLessThanOrEqual(corner?.x ?? 0)
    expect(await anna.locator('#memory').count()).toBe(0) // Redis is switched off: that is no outage
    await long.close()
  } finally {
    await site.close()
  }
})

/** The link of a new call, as its maker gets it. */
async function makeLink(at = app, kind = 'pair'): Promise<string> {
  const response = await at.get('/api/calls', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind }),
  })
  expect(response.status).toBe(201)
  return ((await response.json()) as { path: string }).path
}

const open = (url: string, options?: BrowserContextOptions) =>
  pages.open(url, { locale: 'en-US', ...options })

async function enter(url: string, name: string, options?: BrowserContextOptions): Promise<Page> {
  const page = await open(url, options)
  await join(page, name)
  return page
}

async function join(page: Page, name: string): Promise<void> {
  await page.locator('#name').fill(name)
  await page.locator('#before button').click()
  await page.locator('#call[data-state=joined], #call[data-state=alone]').waitFor()
}

/** How many pictures of each other peer were decoded, in the order of their tiles. */
const frames = (page: Page): Promise<number[]> =>
  page
    .locator('video.remote')
    .evaluateAll((videos) =>
      videos.map((video) => (video as unknown as VideoElement).getVideoPlaybackQuality().totalVideoFrames),
    )
interface VideoElement {
  getVideoPlaybackQuality(): { totalVideoFrames: number }
}

/** Until each page sees so many others, and of each more new pictures than a still one would be. */
async function seeOneAnother(pages: readonly Page[], others: number): Promise<void> {
  const before = await Promise.all(pages.map(frames))
  await eventually(
    async () => {
      for (const [i, page] of pages.entries()) {
        const now = await frames(page)
        expect(now).toHaveLength(others)
        for (const [k, count] of now.entries())
          expect(count - (before[i]?.[k] ?? 0)).toBeGreaterThan(ENOUGH_FRAMES)
      }
    },
    HUNG_MS,
    250,
  )
}

async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env.SCREENSHOTS
  if (directory) await page.screenshot({ path: joinPath(directory, `${name}.png`) })
}

test('a link is made, two meet by it, see one another, talk, and part', async () => {
  const anna = await open(`${app.url}/call?lang=en`)
  await anna.getByRole('button', { name: 'A call for two' }).click()
  await anna.locator('#made').waitFor()
  const link = await anna.locator('#link').inputValue()
  await keepPicture(anna, 'call-link')
  await anna.getByRole('link', { name: 'Open the call' }).press('Enter')
  await anna.locator('#name').fill('Anna')
  await anna.locator('#name').press('Enter') // by keyboard alone
  const boris = await enter(`${link}&lang=ru`, 'Борис', PHONE)
  await seeOneAnother([anna, boris], 1)

  await anna.locator('#text').fill('Привет! <b>')
  await anna.locator('#text').press('Enter')
  await boris.getByText('Anna: Привет! <b>').waitFor()
  expect(await boris.locator('#state').textContent()).toBe('Вы в звонке')
  await keepPicture(anna, 'call')
  await keepPicture(boris, 'call-phone-ru')
  expect(await boris.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)

  const camera = anna.getByRole('button', { name: 'Camera' })
  expect(await camera.getAttribute('aria-pressed')).toBe('true')
  await camera.press('Space')
  expect(await camera.getAttribute('aria-pressed')).toBe('false')

  await anna.getByRole('button', { name: 'Leave' }).click()
  await anna.getByText('You have left the call.').waitFor()
  await boris.getByText('Anna больше не в звонке').waitFor()
  expect(await boris.locator('video.remote').count()).toBe(0)
})

test('who is faster than the script of the page joins all the same', async () => {
  const page = await (await browser.newContext({ locale: 'en-US' })).newPage()
  await page.route('**/static/calls/*.js', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await route.continue()
  })
  await page.goto(`${app.url}/call`, { waitUntil: 'commit' })
  await page.getByRole('button', { name: 'A call for two' }).click()
  await page.getByRole('link', { name: 'Open the call' }).press('Enter')
  await page.locator('#name').fill('Anna')
  await page.locator('#name').press('Enter')
  await page.locator('#call[data-state=alone]').waitFor()
})

/** Media are only had when the page is told `allow()`; `given` are the streams that it got. */
const ASKS_FOR_MEDIA = `{
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
  const allowed = new Promise((resolve) => { globalThis.allow = resolve })
  globalThis.given = []
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    await allowed
    given.push(await real(constraints))
    return given.at(-1)
  }
}`

test('while the browser asks for the camera one can leave, and nothing leads off the page', async () => {
  const page = await open(app.url + (await makeLink()))
  await page.addInitScript({ content: ASKS_FOR_MEDIA })
  await page.reload()
  await page.locator('#name').fill('Anna')
  await page.locator('#name').press('Enter')
  await page.getByText('Connecting…').waitFor()
  const { href } = new URL(page.url())
  await page.evaluate(`document.querySelector('#text').focus()`)
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Leave' }).click()
  await page.getByText('You have left the call.').waitFor()
  expect(page.url()).toBe(href)

  await page.evaluate('allow()')
  const states = 'given.map((stream) => stream.getTracks().map(({ readyState }) => readyState))'
  await eventually(async () => expect(await page.evaluate(states)).toEqual([['ended', 'ended']]))
  expect(await page.locator('#call').getAttribute('data-state')).toBe('left')
  await join(page, 'Anna')
  await page.locator('#text').fill('Anybody here?')
  await page.locator('#text').press('Enter')
  await page.getByText('You: Anybody here?').waitFor()
})

test('who comes to a full call waits for a seat, gets the next one, or gives up', async () => {
  const url = app.url + (await makeLink())
  const [anna, boris] = [await enter(url, 'Anna'), await enter(url, 'Boris')]
  const [vera, gleb] = [await open(url), await open(`${url}&lang=ru`, PHONE)]
  for (const page of [vera, gleb]) {
    await page.locator('#name').fill(page === vera ? 'Vera' : 'Глеб')
    await page.locator('#before button').click()
  }
  await gleb.getByText('В этом звонке нет мест. Ждём, пока освободится…').waitFor()
  await gleb.getByRole('button', { name: 'Выйти' }).click()
  await gleb.getByText('Вы вышли из звонка.').waitFor()

  await vera.getByText('This call is full. Waiting for a seat…').waitFor()
  await anna.getByRole('button', { name: 'Leave' }).click()
  await vera.locator('#call[data-state=joined]').waitFor()
  await boris.getByText('Vera joined').waitFor()
  await seeOneAnother([boris, vera], 1)
})

test('who has waited for a seat for a minute is told that the call is full', async () => {
  const url = app.url + (await makeLink())
  for (const name of ['Anna', 'Boris']) await enter(url, name)
  const page = await open(url)
  await page.clock.install()
  await page.reload()
  await page.locator('#before button').click()
  await page.getByText('Waiting for a seat…').waitFor()
  await page.clock.fastForward('01:01')
  await page.getByText('This call is full.', { exact: true }).waitFor()
  expect(await page.locator('#before').isVisible()).toBe(true)
})

const GOODBYES = {
  refused: {
    en: 'You were disconnected from the call: this page sent too much. You can join again in a minute.',
    ru: 'Вы отключены от звонка: страница отправила слишком много данных. Войти снова можно через минуту.',
  },
  logged_out: {
    en: 'Your session has ended, and you were disconnected from the call. Log in to join again.',
    ru: 'Сеанс завершён, и вы отключены от звонка. Чтобы продолжить, войдите снова.',
  },
}

test.each(Object.entries(GOODBYES))(
  'a goodbye of %s is told in both languages, and the page does not come back by itself',
  async (reason, sentences) => {
    for (const [language, sentence] of Object.entries(sentences)) {
      const page = await open(`${app.url + (await makeLink())}&lang=${language}`, PHONE)
      let sockets = 0
      let end = async () => {}
      await page.routeWebSocket(/\/ws/, (socket) => {
        sockets += 1
        socket.connectToServer()
        end = async () => {
          socket.send(JSON.stringify({ type: 'bye', reason }))
          await socket.close({ code: 1008 })
        }
      })
      await page.clock.install()
      await page.reload()
      await join(page, 'Anna')
      await end()
      await page.getByText(sentence, { exact: true }).waitFor()
      await page.clock.fastForward('01:00')
      expect(await page.locator('#state').textContent()).toBe(sentence)
      expect(sockets).toBe(1)
      // Whoever was logged out gets another page first: that of a guest, or of a new login.
      if (reason === 'logged_out') {
        const reloaded = page.waitForEvent('load')
        await page.locator('#before button').click()
        await reloaded
      }
      await join(page, 'Anna')
    }
  },
)

test('a page that has much to say says it at the pace that the server allows', async () => {
  const url = app.url + (await makeLink())
  const [anna, boris] = [await enter(url, 'Anna'), await enter(url, 'Boris')]
  const lines = 200
  await anna.evaluate(`{
    const text = document.querySelector('#text')
    for (let i = 1; i <= ${lines}; i += 1) {
      text.value = i + ' ' + '\u044f'.repeat(900)
      text.form.requestSubmit()
    }
  }`)
  await boris.getByText(`Anna: ${lines} `).waitFor()
  expect(await anna.locator('#call').getAttribute('data-state')).toBe('joined')
})

/** What may become of the first connection that a page makes; run in the page, before its scripts. */
const BROKEN = {
  'finds no address': `(Real) => class extends Real {
    constructor(config) { super(made++ === 0 ? { ...config, iceTransportPolicy: 'relay' } : config) }
  }`,
  'hears of no address': `(Real) => class extends Real {
    isFirst = made++ === 0
    async addIceCandidate(candidate) { if (!this.isFirst) await super.addIceCandidate(candidate) }
    async setRemoteDescription({ type, sdp }) {
      await super.setRemoteDescription({ type, sdp: this.isFirst ? sdp.replace(/^a=candidate.*\\r\\n/gm, '') : sdp })
    }
  }`,
}

test.each(Object.entries(BROKEN))(
  'a connection that %s is given up for another one, on both sides',
  async (_, broken) => {
    const url = app.url + (await makeLink())
    const script = {
      content: `{
        let made = 0
        RTCPeerConnection = (${broken})(RTCPeerConnection)
        globalThis.connectionsMade = () => made
      }`,
    }
    const pages = [await open(url), await open(url)]
    for (const page of pages) {
      await page.addInitScript(script)
      await page.reload()
      await join(page, page === pages[0] ? 'Anna' : 'Boris')
    }
    await seeOneAnother(pages, 1)
    for (const page of pages) expect(await page.evaluate('connectionsMade()')).toBeGreaterThan(1)
  },
)

test('a server that has no seat to give at the moment is asked again', async () => {
  const page = await open(app.url + (await makeLink()))
  let isRefused = false
  await page.routeWebSocket(/\/ws/, (socket) => {
    const server = socket.connectToServer()
    socket.onMessage((message) => {
      if (isRefused) return server.send(message)
      isRefused = true
      socket.send(JSON.stringify({ type: 'error', code: 'unavailable' }))
    })
  })
  await page.reload()
  await join(page, 'Anna')
  expect(isRefused).toBe(true)
})

test('three see one another in a group, and who closes the page is gone at once', async () => {
  const url = app.url + (await makeLink(app, 'group'))
  const pages = [await enter(url, 'Anna'), await enter(url, 'Boris'), await enter(url, 'Vera')]
  await seeOneAnother(pages, 2)
  await keepPicture(pages[0] as Page, 'call-group')
  await pages[2]?.close()
  const { tookMs } = await timed(async () => pages[0]?.getByText('Vera left').waitFor())
  expect(tookMs).toBeLessThan(RESUME_MS / 2)
  await seeOneAnother(pages.slice(0, 2), 1)
})

test('a page whose network is cut for 5 s comes back to the same call', async () => {
  const proxy = await startTcpProxy(Number(new URL(app.url).port))
  try {
    const path = await makeLink()
    const anna = await enter(app.url + path, 'Anna')
    const boris = await enter(`http://${new URL(proxy.url).host}${path}`, 'Boris')
    await seeOneAnother([anna, boris], 1)

    // Nothing more passes on its socket, and nobody is told; and no media either.
    const network = await boris.context().newCDPSession(boris)
    await network.send('Network.enable')
    const emulate = (packetLoss: number) =>
      network.send('Network.emulateNetworkConditions', {
        offline: packetLoss > 0,
        latency: 0,
        downloadThroughput: -1,
        uploadThroughput: -1,
        packetLoss,
      })
    proxy.set({ timeout: true })
    await emulate(100)
    await boris.getByText('The connection was lost').waitFor()
    await anna.locator('#text').fill('Still there?')
    await anna.locator('#text').press('Enter')
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    proxy.set({})
    await emulate(0)

    await boris.locator('#call[data-state=joined]').waitFor()
    await boris.getByText('Anna: Still there?').waitFor()
    await seeOneAnother([anna, boris], 1)
    // The same peer, on the same connection: nobody came or went.
    expect(await anna.locator('#said .event').allTextContents()).toEqual(['Boris joined'])
    expect(await boris.locator('#said .event').allTextContents()).toEqual(['Anna joined'])
  } finally {
    await proxy.close()
  }
})

test('a page that is loaded again takes its own seat, though the server still waits for the old one', async () => {
  const proxy = await startTcpProxy(Number(new URL(app.url).port))
  try {
    const path = await makeLink()
    const anna = await enter(app.url + path, 'Anna')
    const boris = await enter(`http://${new URL(proxy.url).host}${path}`, 'Boris')
    const connected = () => timed(() => boris.locator('#people [data-state=connected]').waitFor())
    const { tookMs: firstMs } = await connected()
    await seeOneAnother([anna, boris], 1)
    const address = boris.url()

    proxy.set({ timeout: true }) // no goodbye arrives
    await boris.getByText('The connection was lost').waitFor()
    await boris.goto('about:blank')
    await anna.locator('#text').fill('Where are you?')
    await anna.locator('#text').press('Enter')
    proxy.set({})
    await boris.goto(address)
    await join(boris, 'Boris')
    await boris.getByText('Anna: Where are you?').waitFor()
    // Before either would have tried by itself.
    expect((await connected()).tookMs - firstMs).toBeLessThan(0.75 * TRIES_AGAIN_MS)
    await seeOneAnother([anna, boris], 1)
    expect(await anna.locator('#said .event').allTextContents()).toEqual(['Boris joined'])

    // Who leaves gives the seat away.
    await boris.getByRole('button', { name: 'Leave' }).click()
    await anna.getByText('Boris left').waitFor()
    expect(await boris.evaluate('sessionStorage.length')).toBe(0)
  } finally {
    await proxy.close()
  }
})

test('with Redis dead from the start two meet as well, and are told that the server runs from memory', async () => {
  const alone = await startApp({ REDIS_URL: `redis://127.0.0.1:${await freePort()}/0` })
  try {
    const url = alone.url + (await makeLink(alone))
    const pages = [await enter(url, 'Anna'), await enter(url, 'Boris')]
    await seeOneAnother(pages, 1)
    await pages[0]?.getByText('The server runs from memory').waitFor()
    await keepPicture(pages[0] as Page, 'call-memory')
  } finally {
    await alone.close()
  }
})

test('a call goes on while Redis is gone and when it is back', async () => {
  const url = app.url + (await makeLink())
  const pages = [await enter(url, 'Anna'), await enter(url, 'Boris')]
  await seeOneAnother(pages, 1)
  await redis.kill()
  await pages[0]?.getByText('The server runs from memory').waitFor()
  await pages[1]?.locator('#text').fill('from memory')
  await pages[1]?.locator('#text').press('Enter')
  await pages[0]?.getByText('Boris: from memory').waitFor()
  await redis.start()
  await app.untilStatus('redis')
  await pages[0]?.locator('#text').fill('from Redis')
  await pages[0]?.locator('#text').press('Enter')
  await pages[1]?.getByText('Anna: from Redis').waitFor()
  await seeOneAnother(pages, 1)
})

test('two processes on one Redis: a call across them', async () => {
  const other = await startApp({ REDIS_URL: redis.url, DATA_DIR: app.dataDir, ...PATIENCE })
  try {
    await other.untilStatus('redis')
    const path = await makeLink()
    const pages = [await enter(app.url + path, 'Anna'), await enter(other.url + path, 'Boris')]
    await seeOneAnother(pages, 1)
  } finally {
    await closePages(browser)
    await other.close()
  }
})

test('a link that opens nothing says so, and an expired one at the socket as well', async () => {
  const response = await app.get('/call/pair-0123456789abcdef?key=nonsense&lang=en')
  expect(response.status).toBe(403)
  expect(await response.text()).toContain('This link opens no call')
  expect((await app.get('/call/elsewhere')).status).toBe(404)
})

test('nothing went wrong on any of these pages', () => {
  const unexpected = pages.problems.filter(
    (problem) => !/ERR_INTERNET_DISCONNECTED|ERR_CONNECTION|WebSocket/.test(problem),
  )
  expect(unexpected).toEqual([])
})
