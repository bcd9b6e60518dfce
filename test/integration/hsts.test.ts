// HTTPS is promised to browsers that came by it, and for other hosts of the domain only where somebody asks for that.
import { startApp, type TestApp } from '../helpers/app.ts'

const HTTPS = { 'x-forwarded-proto': 'https' }
const hstsOf = async (app: TestApp, path: string, headers = {}) =>
  (await app.get(path, { headers, redirect: 'manual' })).headers.get('strict-transport-security')

test.each([
  [{ TRUST_PROXY: '1' }, 'max-age=31536000'],
  [{ TRUST_PROXY: '1', HSTS_INCLUDE_SUBDOMAINS: 'true' }, 'max-age=31536000; includeSubDomains'],
  [{ TRUST_PROXY: '0' }, null], // nobody in front may say so
])('%j: over HTTPS %j, over HTTP nothing', async (env, expected) => {
  const app = await startApp({ REDIS_URL: 'off', ...env })
  try {
    for (const path of ['/', '/api/countries', '/static/page.css', '/api/none', '/account']) {
      expect([path, await hstsOf(app, path, HTTPS)]).toEqual([path, expected])
      expect([path, await hstsOf(app, path)]).toEqual([path, null])
    }
  } finally {
    await app.close()
  }
})

test.each(['An\u202Ena', '\u0000', 'a\nb', 'a\u200Bb', '\uD800'])(
  'a cleared name of %j is refused',
  async (name) => {
    const app = await startApp({ REDIS_URL: 'off' })
    try {
      for (const scope of [{ prefix: name }, { tag: name }]) {
        const response = await app.get('/api/cache/clear', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(scope),
        })
        expect(response.status).toBe(400)
      }
    } finally {
      await app.close()
    }
  },
)
