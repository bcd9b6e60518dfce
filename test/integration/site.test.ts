// What the operator calls the site, and what is at /.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { features } from '../../src/app.ts'
import { type InvalidEnvironment, readConfig, readUserDir } from '../../src/config.ts'
import { readUserFolder } from '../../src/user/folder.ts'
import { startApp } from '../helpers/app.ts'
import { removeUserFolders, userFolder } from '../helpers/user-folder.ts'

afterAll(removeUserFolders)
const asBrowser = {
  headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
  redirect: 'manual' as const,
}

test('SITE_NAME, SITE_URL and SITE_LOGO are on every page', async () => {
  const dir = userFolder({ 'logo.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>' })
  const app = await startApp({
    REDIS_URL: 'off',
    USER_DIR: dir,
    SITE_NAME: 'Tea & Co',
    SITE_LOGO: 'logo.svg',
    SITE_URL: 'https://tea.example',
  })
  try {
    const page = await (await app.get('/markets?lang=en&vs=eur')).text()
    expect(page).toContain('Tea &amp; Co')
    expect(page).not.toContain('>Samovar<')
    expect(page).toContain('<link rel="canonical" href="https://tea.example/markets?lang=en">')
    expect(page).toContain('src="/site-logo"')
    expect(await (await app.get('/markets?lang=en&page=3')).text()).toContain(
      '<link rel="canonical" href="https://tea.example/markets?lang=en&amp;page=3">',
    )
    for (const path of ['/site-logo', '/favicon.ico']) {
      const logo = await app.get(path)
      expect([path, logo.status, logo.headers.get('content-type')]).toEqual([path, 200, 'image/svg+xml'])
    }
  } finally {
    await app.close()
  }
  // The image's start, too: a folder may be there for the logo alone.
  const env = { USER_DIR: dir, SITE_LOGO: 'logo.svg' }
  expect(readUserFolder(readUserDir(env))).toMatchObject({ features: [], server: undefined })
  expect(() => readUserFolder(readUserDir({ USER_DIR: dir }))).toThrow('nothing there would run')
  const plain = await startApp({ REDIS_URL: 'off' })
  expect((await plain.get('/site-logo')).status).toBe(404)
  expect(await (await plain.get('/?lang=en')).text()).toContain('src="/static/icon.svg"')
  await plain.close()
})

test('HOME_PAGE sends visitors of / elsewhere; the status page is at /status, and is JSON to who does not ask for HTML', async () => {
  const app = await startApp({ REDIS_URL: 'off', HOME_PAGE: '/markets' })
  try {
    const home = await app.get('/', asBrowser)
    expect([home.status, home.headers.get('location')]).toEqual([302, '/markets'])
    const page = await app.get('/status?lang=en&q=Germany', asBrowser)
    expect(page.headers.get('vary')).toMatch(/Accept\b.*Accept-Language/)
    const text = await page.text()
    expect(text).toContain('action="/status"')
    expect(text).toContain('href="/status?lang=ru&amp;q=Germany"')
    expect(await (await app.get('/status')).json()).toMatchObject({ status: 'memory' })
  } finally {
    await app.close()
  }
})

test('what cannot be is a sentence', () => {
  const problems = (env: Record<string, string>) => {
    try {
      readConfig(features, { REDIS_URL: 'off', ...env }, false)
    } catch (error) {
      return (error as InvalidEnvironment).problems
    }
    return []
  }
  const dir = userFolder({ 'logo.gif': '', 'large.png': 'x'.repeat(300 * 1024) })
  expect(problems({ SITE_URL: 'tea.example' })).toEqual(['SITE_URL must look like https://example.com'])
  expect(problems({ HOME_PAGE: 'notes' })).toEqual([
    'HOME_PAGE must be ours, own, a path such as /notes, or an address such as https://example.com',
  ])
  expect(problems({ SITE_LOGO: 'logo.gif', USER_DIR: dir })).toEqual([
    expect.stringContaining('must end with one of .svg'),
  ])
  expect(problems({ SITE_LOGO: 'large.png', USER_DIR: dir })).toEqual(['SITE_LOGO may have at most 256 kB'])
  rmSync(join(dir, 'large.png'))
  expect(problems({ SITE_LOGO: 'large.png', USER_DIR: dir })).toEqual([
    expect.stringContaining('cannot be read (ENOENT)'),
  ])
})
