// Environment files of real life, of our own making after public ones: what the reader makes of each, in both forms.
// `docker run --env-file` keeps quotes and comments, which Compose and dotenv take away. The second line of a file says
// what is expected: `refused`, or what is in the configuration, which warnings there are, in that order, and around
// which values something stood in the first form.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { features } from '../../src/app.ts'
import { InvalidEnvironment, readConfig } from '../../src/config.ts'
import { removeProcesses, spawnApp, spawnSource } from '../helpers/app-process.ts'

const FOLDER = join(import.meta.dirname, 'environments')
const names = readdirSync(FOLDER).map((file) => file.replace(/\.env$/, ''))

interface Expected {
  readonly refused?: readonly string[]
  readonly config?: object
  readonly warns?: readonly string[]
  readonly around?: readonly string[]
}
type Forms = Record<'--env-file' | 'Compose', Record<string, string>>

/** github.com/docker/cli/blob/master/pkg/kvfile: lines, divided at the first =, all of the rest is the value. */
function asDocker(text: string): Record<string, string> {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/)
  const pairs = lines.map((line) => line.trimStart()).filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    pairs.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

function readFile(name: string): { expected: Expected; forms: Forms } {
  const text = readFileSync(join(FOLDER, `${name}.env`), 'utf8')
  const [, second = ''] = text.split(/\r?\n/)
  return {
    expected: JSON.parse(second.replace('#= ', '')),
    forms: { '--env-file': asDocker(text), Compose: parseEnv(text) as Record<string, string> },
  }
}

const AROUND = /^read without what stands around the value: /

function outcomeOf(env: Record<string, string>) {
  try {
    const config = readConfig(features, env, false)
    const [around = ''] = config.warnings.filter((warning) => AROUND.test(warning))
    return {
      config,
      around,
      warnings: config.warnings.filter((warning) => !AROUND.test(warning)),
      problems: [],
    }
  } catch (error) {
    if (!(error instanceof InvalidEnvironment)) throw error
    return { config: undefined, around: '', warnings: [], problems: error.problems }
  }
}

afterEach(removeProcesses)

test('there are enough of them', () => {
  expect(names.length).toBeGreaterThanOrEqual(25)
})

describe.each(names)('%s', (name) => {
  const { expected, forms } = readFile(name)

  test.each(Object.entries(forms))('%s', (form, env) => {
    const { config, around, warnings, problems } = outcomeOf(env)
    const containing = (sentences: readonly string[] = []) =>
      sentences.map((one) => expect.stringContaining(one))
    expect(problems).toEqual(containing(expected.refused))
    expect(warnings).toEqual(containing(expected.warns))
    if (expected.config) expect(JSON.parse(JSON.stringify(config, orNull))).toMatchObject(expected.config)
    const named = form === '--env-file' ? (expected.around ?? []) : []
    for (const one of named) expect(around).toContain(`${one} (`)
    if (form === '--env-file') expect(around === '').toBe(named.length === 0)
    for (const said of [...problems, ...warnings, around]) expect(said).not.toMatch(/fake|eyJ/)
  })
})

const orNull = (_key: string, value: unknown) => (value === undefined ? null : value)

/** Of the file, but for the servers that it names: there are none here. */
const withoutServers = (env: Record<string, string>) => ({
  ...Object.fromEntries(Object.entries(env).filter(([name]) => !/^(PORT|DATABASE_URL)$/.test(name))),
  LOG_LEVEL: '"INFO" # all',
  REDIS_URL: "'off'",
})

test.each(['compose-comments', 'supabase-nuxt', 'telegram-bot'])(
  'the app starts with %s, and says each thing once',
  async (name) => {
    const env = withoutServers(readFile(name).forms['--env-file'])
    const app = await spawnApp(env)
    const { warnings, around } = outcomeOf(env)
    expect((await fetch(`${app.url}/livez`)).status).toBe(200)
    for (const said of [around, ...warnings]) expect(app.said.out.split(said)).toHaveLength(2)
  },
)

test.each(['compose-unescaped'])('the app does not start with %s, and says why in one line', async (name) => {
  const app = spawnSource('main.ts', { ...readFile(name).forms['--env-file'], PORT: '0x' })
  expect(await app.ended).toBe(78)
  expect(app.said.err.trim().split('\n')).toHaveLength(3) // the head, the port, and what is wrong in the file
  expect(app.said.err).toContain(readFile(name).expected.refused?.[0])
})
