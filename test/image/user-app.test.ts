// The user's own app in the image: a feature in /app/user runs in the bundle, with `samovar`, `zod` and `express`
// though none of them is a package there; a mistake ends the start with 78; a server runs beside the app, or instead.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { boot, bootReady, createVolume, removeAll, until } from '../helpers/image.ts'
import { removeUserFolders, userFolder } from '../helpers/user-folder.ts'

afterAll(async () => {
  await removeAll()
  removeUserFolders()
})

const template = readFileSync(join(import.meta.dirname, '../../scripts/template/feature.js'), 'utf8')
const withPackages = template.replace(
  "import { randomUUID } from 'node:crypto'",
  "import { randomUUID } from 'node:crypto'\nimport express, { Router as TheirRouter } from 'express'\nimport { z as theirZod } from 'zod'\nif (theirZod !== z || TheirRouter !== Router || !express.json) throw new Error('another instance')",
)
const required = `const { Router } = require('express')
const { defineFeature, z } = require('samovar')
if (require('zod').z !== z || !require('express')().listen) throw new Error('another instance')
module.exports = defineFeature({ name: 'required', setup: () => ({ routes: Router().get('/required', (_q, s) => s.json(1)) }) })
`
const server = `import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
const { PORT, DATA_DIR, REDIS_URL, STATE_REDIS_URL, REDIS_PREFIX } = process.env
appendFileSync(DATA_DIR + '/starts', '.')
createServer((req, res) => {
  if (req.url === '/end') process.exit(1)
  res.statusCode = 401
  res.end(JSON.stringify({ DATA_DIR, REDIS_URL, STATE_REDIS_URL, REDIS_PREFIX }))
}).listen(Number(PORT))
`
/** As a mounted folder. */
const mounted = (files: Record<string, string>) => ({
  files: [[userFolder(files), '/app/user']] as [string, string][],
})

test('a feature of the user’s runs, also one in CommonJS', async () => {
  const samovar = await bootReady({
    ...mounted({ 'feature.js': withPackages, 'more/feature.cjs': required }),
    env: { HOME_PAGE: 'own', GREETING: 'Good morning' },
  })
  expect(await (await samovar.get('/')).text()).toContain('<h1>Good morning</h1>')
  expect((await samovar.get('/required')).status).toBe(200)
  expect((await samovar.get('/api/countries')).status).toBe(200)
})

test('a mistake in it ends the start with 78, before anything is started', async () => {
  const samovar = await boot(mounted({ 'feature.js': 'throw new Error("no")\n' }))
  expect(await samovar.exitCode()).toBe(78)
  const text = await samovar.text()
  expect(text).toContain('  - /app/user/feature.js:1 cannot be loaded: Error: no')
  expect(text).not.toContain('variant:')
})

test('a mistake in its setup ends the container with 78', async () => {
  const samovar = await boot(
    mounted({ 'feature.js': template.replace('const routes = Router()', 'const routes = nothing') }),
  )
  expect(await samovar.exitCode()).toBe(78)
  expect(await samovar.text()).toMatch(
    /the feature greetings cannot be set up: ReferenceError.*feature\.js:\d+/,
  )
})

test('a server beside the app has a port, a directory and databases of its own, and comes back', async () => {
  const samovar = await bootReady(
    mounted({ 'samovar.config.js': 'export default { command: "node server.js" }', 'server.js': server }),
  )
  const ask = () =>
    samovar.exec(`node -e 'fetch("http://127.0.0.1:3000").then((a) => a.text()).then(console.log)'`)
  expect(JSON.parse(await until('the server answers', async () => (await ask()) || undefined))).toEqual({
    DATA_DIR: '/data/user',
    REDIS_URL: 'redis://127.0.0.1:6379/1',
    STATE_REDIS_URL: expect.stringMatching(/^unix:\/\/\/.*redis-state\.sock\?db=1$/),
    REDIS_PREFIX: 'user:',
  })
  await samovar.exec(`node -e 'fetch("http://127.0.0.1:3000/end").catch(() => {})'`)
  await until('it is back', async () => (await samovar.exec('cat /data/user/starts')).length >= 2)
  await until('it answers', async () => (await ask()) !== '')
  expect((await samovar.get('/livez')).status).toBe(200)
})

test('an app that does not stay up ends the container, although a server beside it would go on', async () => {
  const samovar = await boot({
    ...mounted({
      'samovar.config.js': 'export default { command: "node server.js" }',
      'server.js': server,
      'feature.js': `${template}\nif (process.send) setTimeout(() => process.exit(1), 500)\n`,
    }),
    env: { HOME_PAGE: 'own' },
  })
  expect(await samovar.exitCode()).toBe(1)
})

test('a server instead of the app has the port; the volume is handed over to the next container', async () => {
  const volume = await createVolume()
  const config = 'export default { command: "node server.js", mode: "instead" }'
  const options = { ...mounted({ 'samovar.config.js': config, 'server.js': server }), volume }
  const first = await boot(options)
  await until('the first answers', async () => (await first.get('/')).status === 401)
  expect(await first.exec('python3 -I -S /app/image/healthcheck; echo $?')).toMatch(/0$/)
  const second = await boot(options)
  await until('the second answers', async () => (await second.get('/')).status === 401)
  expect(await second.exec('cat /data/user/starts')).toBe('..')
  await expect(first.get('/')).rejects.toThrow()
  expect((await second.stop()).code).toBe(0)
})
