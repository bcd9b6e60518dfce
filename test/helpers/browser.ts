// Debian's Chromium, without what reaches out of this machine.
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const PATH = '/usr/bin/chromium'

// Its own picture and sound, allowed without asking; and addresses as they are, where there is no mDNS to find them by.
const FAKE_MEDIA = [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
]

export function startBrowser({ hasFakeMedia = false } = {}): Promise<Browser> {
  if (!existsSync(PATH))
    throw new Error('Chromium is not installed: run scripts/packages, or apt-get install chromium')
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
  ]
  return chromium.launch({
    executablePath: PATH,
    args: [...args, '--disable-sync', ...(hasFakeMedia ? FAKE_MEDIA : [])],
  })
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
