// The commands in docs/features/webhooks.md, as they stand there: pasted into a shell, each sender is accepted.
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startApp } from '../helpers/app.ts'

const docs = join(import.meta.dirname, '../../docs')
const blocksOf = (file: string) =>
  [...readFileSync(join(docs, file), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(([, commands]) =>
    String(commands),
  )

/** Not execFileSync: the app that is asked answers in this process. */
function run(commands: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('bash', ['--norc', '-euo', 'pipefail', '-c', commands], { env }, (error, out) =>
      error ? reject(error) : resolve(out),
    )
  })
}

test.each(['features/webhooks.md', 'ru/features/webhooks.md'])('%s', async (file) => {
  const path = { PATH: process.env.PATH ?? '' }
  const [setUp = '', ...sendThenLook] = blocksOf(file)
  expect(sendThenLook).toHaveLength(4)
  const script = setUp.replace(
    'npm run up',
    'printf "%s\\n" "$STANDARD_SECRET" "$GITHUB_SECRET" "$TELEGRAM_SECRET" "$WEBHOOK_SECRETS" "$ADMIN_TOKEN"',
  )
  const values = execFileSync('bash', ['--norc', '-euo', 'pipefail', '-c', script], { env: path })
    .toString()
    .trim()
    .split('\n')
  const names = ['STANDARD_SECRET', 'GITHUB_SECRET', 'TELEGRAM_SECRET', 'WEBHOOK_SECRETS', 'ADMIN_TOKEN']
  const env = { ...path, ...Object.fromEntries(names.map((name, i) => [name, values[i] ?? ''])) }
  const app = await startApp({ REDIS_URL: 'off', ...env })
  try {
    const answers: string[] = []
    for (const commands of sendThenLook) {
      answers.push(await run(commands.replaceAll('localhost:8080', app.url.slice('http://'.length)), env))
    }
    const [look, ...sent] = answers.reverse()
    for (const answer of sent) expect(answer).toMatch(/^HTTP\/1\.1 204 No Content\r\n/)
    expect(JSON.parse(look ?? '')).toMatchObject({
      source: 'payments',
      deliveries: [{ contentType: 'application/json' }],
    })
  } finally {
    await app.close()
  }
})
