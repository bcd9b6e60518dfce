// The commands of the READMEs and of docs/admin.md that ask a running app: pasted into a shell as they stand there, in
// both languages, each is answered with what the page says. Those of single features are in *-docs.test.ts beside this.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startApp, type TestApp } from '../helpers/app.ts'

const root = join(import.meta.dirname, '../..')
const TOKEN = 'the-token-of-the-admin'

const blocksOf = (page: string) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(([, commands]) =>
    String(commands),
  )

/** Not execFileSync: the app that is asked answers in this process. */
function run(commands: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...env, PATH: process.env.PATH ?? '' } }
    execFile('bash', ['--norc', '-euo', 'pipefail', '-c', commands], options, (error, out) =>
      error ? reject(error) : resolve(out),
    )
  })
}

const at = ({ url }: TestApp, commands: string) =>
  run(commands.replaceAll('localhost:8080', url.slice('http://'.length)), { ADMIN_TOKEN: TOKEN })

const jsonsOf = (text: string) =>
  text
    .replace(/[}\]](?=[{[])/g, '$&\n')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

let open: TestApp
let locked: TestApp
beforeAll(async () => {
  open = await startApp({ REDIS_URL: 'off' })
  locked = await startApp({ REDIS_URL: 'off', ADMIN_TOKEN: TOKEN })
})
afterAll(async () => {
  await open.close()
  await locked.close()
})

test.each(['docs/admin.md', 'docs/ru/admin.md'])('%s', async (page) => {
  const [without = '', withToken = '', ...more] = blocksOf(page)
  expect(more).toEqual([])
  const clear = { cleared: expect.any(Number), backend: expect.any(String) }
  const stats = { backend: 'memory', hits: expect.any(Number), fallback: expect.any(Object) }
  const outages = expect.any(Array)
  const answers = jsonsOf(await at(open, without))
  expect(answers).toMatchObject([stats, clear, clear, clear, outages, { status: 'pass' }, { status: 'warn' }])
  expect(jsonsOf(await at(locked, withToken))).toMatchObject([stats, clear, outages])
  const [refused] = jsonsOf(await at(locked, without))
  expect(refused).toMatchObject({ status: 401 })
})

/** Where each block is run, or why it is not here. A new block needs its line. */
const ELSEWHERE: Record<string, readonly RegExp[]> = {
  'test/image, or by hand: a Docker engine': [/^docker (build|run|exec|stop|compose)/, /^npm run (up|down)\b/, /^PORT=8081 npm run up/],
  'the suites themselves, or packages': [/^npm (test|run|ci)\b/, /^cp env\.example/, /^SAMOVAR_IMAGE/],
  'the platform’s': [/^git (remote|push)/, /^curl .*https:\/\/</, /^REDIS_URL=/],
}

test.each(['README.md', 'README.ru.md', 'docs/running.md', 'docs/ru/running.md', 'docs/deploying.md', 'docs/ru/deploying.md'])(
  '%s has no command that nobody runs',
  (page) => {
    const lines = blocksOf(page).flatMap((block) => block.replace(/\\\n\s*/g, '').split('\n'))
    const known = Object.values(ELSEWHERE).flat()
    const unknown = lines
      .map((line) => line.trim())
      .filter((line) => line !== '' && !known.some((pattern) => pattern.test(line)))
    expect(unknown.filter((line) => !line.startsWith('openssl rand'))).toEqual([])
  },
)

test('a secret as docs/deploying.md makes it is taken', async () => {
  const [command = ''] = blocksOf('docs/deploying.md').filter((block) => block.includes('openssl rand'))
  expect((await run(command, {})).trim()).toMatch(/^[0-9a-f]{48}$/)
})
