// Debian's Chromium, without what reaches out of this machine.
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PATH = '/usr/bin/chromium'

export function startBrowser(): Promise<Browser> {
  if (!existsSync(PATH))
    throw new Error('Chromium is not installed: run scripts/packages, or apt-get install chromium')
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
  ]
  return chromium.launch({ executablePath: PATH, args: [...args, '--disable-sync'] })
}
