// Debian's Chromium, without what reaches out of this machine.
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { HUNG_MS } from './eventually.ts'

const PATH = '/usr/bin/chromium'

// Its own picture and sound, allowed without asking; and addresses as they are, where there is no mDNS to find them by.
// Few pictures a second: each is encoded for each peer, and decoded there, by a machine without a graphics card.
const FAKE_MEDIA = [
  '--use-fake-device-for-media-stream=fps=5',
  '--use-fake-ui-for-media-stream',
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
]

/** No promise: what a page has not done by then has hung. Bounds in time are judged by control-clock.ts. */
const PATIENCE_MS = 4 * HUNG_MS

export async function startBrowser({ hasFakeMedia = false } = {}): Promise<Browser> {
  if (!existsSync(PATH))
    throw new Error('Chromium is not installed: run scripts/packages, or apt-get install chromium')
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
  ]
  const browser = await chromium.launch({
    executablePath: PATH,
    args: [...args, '--disable-sync', ...(hasFakeMedia ? FAKE_MEDIA : [])],
    timeout: PATIENCE_MS,
  })
  const newContext = browser.newContext.bind(browser)
  browser.newContext = async (options) => {
    const context = await newContext(options)
    context.setDefaultTimeout(PATIENCE_MS)
    return context
  }
  return browser
}

/** What is open works on by itself, and takes its time from the next test. */
export async function closePages(browser: Browser): Promise<void> {
  await Promise.all(browser.contexts().map((context) => context.close()))
}

export interface Pages {
  /** In a context of its own: no cookies. */
  open(url: string, options?: BrowserContextOptions): Promise<Page>
  /** What went wrong on any of them: uncaught errors, and what the console says of errors. */
  readonly problems: string[]
}

export function createPages(browser: Browser): Pages {
  const problems: string[] = []
  return {
    problems,
    async open(url, options = {}) {
      const page = await (await browser.newContext(options)).newPage()
      watchPage(page, problems)
      await page.goto(url)
      return page
    },
  }
}

export function watchPage(page: Page, problems: string[]): void {
  page.on('pageerror', (error) => problems.push(`${page.url()}: ${error.stack}`))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`${message.location().url}: ${message.text()}`)
  })
}
