// Debian's Chromium, without what reaches out of this machine.
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

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
