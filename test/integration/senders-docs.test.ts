// The schemes in docs/webhooks.md, as they stand there: compiled beside the app's own, listed in app.ts, and sent to.
import { execFileSync } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Installed } from '../../src/host/wiring.ts'
import { startApp, type TestApp } from '../helpers/app.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/webhooks.md'), 'utf8')
const blocks = new Map(
  [...page.matchAll(/^```ts\n\/\/ (\S+\.ts)(?:, in the list)?\n(.*?)^```/gms)].map(
    ([, path = '', code = '']) => [path, code],
  ),
)
const codeIn = (text: string) => text.match(/^```ts\n.*?^```/gms)
const place = mkdtempSync(join(root, 'test/.senders-docs-'))
let app: TestApp

beforeAll(async () => {
  for (const folder of ['src', 'src/features']) mkdirSync(join(place, folder), { recursive: true })
  for (const path of ['node_modules', 'tsconfig.json', 'package.json'])
    symlinkSync(join(root, path), join(place, path))
  for (const folder of ['src', 'src/features'])
    for (const name of readdirSync(join(root, folder)))
      if (name !== 'app.ts' && name !== 'features')
        symlinkSync(join(root, folder, name), join(place, folder, name))
  for (const [path, code] of blocks) {
    mkdirSync(dirname(join(place, path)), { recursive: true })
    if (path !== 'src/app.ts') writeFileSync(join(place, path), code)
  }
  const list = readFileSync(join(root, 'src/app.ts'), 'utf8')
    .replace(/^import/m, "import { shop } from './features/shop/feature.ts'\nimport")
    .replace(/^\]$/m, `${blocks.get('src/app.ts') ?? ''}]`)
  writeFileSync(join(place, 'src/app.ts'), list)
  const { features } = (await import(join(place, 'src/app.ts'))) as { features: readonly Installed[] }
  const secrets =
    'robokassa=second-password,vk=aaQ13axAPQEcczQa:1a2b3c4d,lemon:lemon-squeezy=old-secret|a-secret'
  app = await startApp({ REDIS_URL: 'off', WEBHOOK_SECRETS: secrets }, features)
})
afterAll(async () => {
  await app?.close()
  rmSync(place, { recursive: true })
})

async function post(source: string, body: string, headers: Record<string, string> = {}) {
  const response = await app.get(`/api/webhooks/${source}`, { method: 'POST', body, headers })
  return [response.status, await response.text(), response.headers.get('idempotent-replayed')]
}

test('the Russian page has the same', () => {
  const russian = readFileSync(join(root, 'docs/ru/webhooks.md'), 'utf8')
  expect(codeIn(russian)).toEqual(codeIn(page))
})

test('they compile', () => {
  expect([...blocks.keys()]).toEqual([
    'src/features/shop/feature.ts',
    'src/features/shop/schemes.ts',
    'src/app.ts',
  ])
  const config = { extends: './tsconfig.json', include: ['src/features/shop'] }
  writeFileSync(join(place, 'tsconfig.docs.json'), JSON.stringify(config))
  const compiler = join(root, 'node_modules/.bin/tsc')
  expect(execFileSync(compiler, ['-p', 'tsconfig.docs.json'], { cwd: place }).toString()).toBe('')
})

test('Robokassa: a hash in a form, answered with the number of the invoice', async () => {
  const sign = (password: string) =>
    createHash('sha256').update(`8.96:450009:${password}:shp_item=a b`).digest('hex').toUpperCase()
  const form = (password: string) => `OutSum=8.96&InvId=450009&shp_item=a+b&SignatureValue=${sign(password)}`
  expect(await post('robokassa', form('second-password'))).toEqual([200, 'OK450009', null])
  expect(await post('robokassa', form('second-password'))).toEqual([200, 'OK450009', 'true'])
  expect((await post('robokassa', form('first-password')))[0]).toBe(401)
})

test('VK: the secret in the body, the code that it wants back, and ok', async () => {
  const event = (type: string, secret: string) =>
    JSON.stringify({ type, secret, group_id: 1, event_id: '5f9c' })
  expect(await post('vk', event('confirmation', 'aaQ13axAPQEcczQa'))).toEqual([200, '1a2b3c4d', null])
  expect(await post('vk', event('message_new', 'aaQ13axAPQEcczQa'))).toEqual([200, 'ok', null])
  expect(await post('vk', event('message_new', 'aaQ13axAPQEcczQa'))).toEqual([200, 'ok', 'true'])
  for (const secret of ['', 'aaQ13axAPQEcczQ', 'aaQ13axAPQEcczQa:1a2b3c4d'])
    expect((await post('vk', event('confirmation', secret)))[0]).toBe(401)
})

test('Lemon Squeezy: a signature in hex, with any of two secrets', async () => {
  const body = '{"meta":{"event_name":"order_created"}}'
  const signed = (secret: string) => ({
    'x-signature': createHmac('sha256', secret).update(body).digest('hex'),
  })
  expect(await post('lemon', body, signed('a-secret'))).toEqual([204, '', null])
  expect(await post('lemon', body, signed('old-secret'))).toEqual([204, '', 'true'])
  expect((await post('lemon', body, signed('another')))[0]).toBe(401)
})
