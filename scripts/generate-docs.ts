// Writes the parts of the docs that follow from the manifests, from app-variables.ts and from the errors: npm run docs.
// Each part stands between two markers; a test fails when one differs from what this makes.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { features } from '../src/app.ts'
import { variables as everybodys } from '../src/app-variables.ts'
import * as refusalsOfCore from '../src/core/errors.ts'
import * as refusals from '../src/errors.ts'
import { asAppError } from '../src/http/problem.ts'
import type { Variable } from '../src/variables.ts'

type Language = 'en' | 'ru'

const WIDTH = 120
const DOCKERFILE =
  '# Dockerfile.amvera, under the name that others look for. Change that one, then: npm run docs\n'
const words = {
  en: { head: '| variable | default | meaning |', none: 'none' },
  ru: { head: '| переменная | по умолчанию | что значит |', none: 'нет' },
}
const featureHead = {
  en: '| feature | what it is | needs | its variables |',
  ru: '| функция | что это | нужны | её переменные |',
}

const named: readonly (readonly [string, Variable])[] = [
  ...Object.entries<Variable>(everybodys),
  ...features.flatMap(({ variables = {} }) => Object.entries(variables)),
]
const code = (text: string) => `\`${text}\``

/** Of the schema, where it is something that a person would write. */
function ownDefault({ schema }: Variable): string | undefined {
  const { data } = schema.safeParse(undefined)
  const isSimple = ['string', 'number', 'boolean'].includes(typeof data)
  return isSimple ? String(data) : undefined
}

function shownDefault(variable: Variable, language: Language): string {
  const { default: given } = variable
  if (given !== undefined) return typeof given === 'string' ? given : given[language]
  const own = ownDefault(variable)
  return own === undefined ? words[language].none : code(own)
}

function variablesTable(language: Language): string {
  const rows = named.map(
    ([name, variable]) => `| ${code(name)} | ${shownDefault(variable, language)} | ${variable[language]} |`,
  )
  return [words[language].head, '|---|---|---|', ...rows].join('\n')
}

function featuresTable(language: Language): string {
  const list = (names: readonly string[]) => names.map(code).join(', ')
  const rows = features.map(
    ({ name, needs = [], variables = {}, about }) =>
      `| ${code(name)} | ${about?.[language] ?? ''} | ${list(needs)} | ${list(Object.keys(variables))} |`,
  )
  return [featureHead[language], '|---|---|---|---|', ...rows].join('\n')
}

const refusalHead = { en: '| code | the answer says |', ru: '| код | что сказано в ответе |' }

/** Every refusal with 503: those that pass, where trying again helps. */
function refusalsTable(language: Language): string {
  const made = [...Object.values(refusalsOfCore), ...Object.values(refusals)].flatMap((make) =>
    /^class\b/.test(String(make)) ? [] : [(make as unknown as (retryAfterMs: number) => unknown)(1_000)],
  )
  const rows = made
    .filter((refusal) => refusal instanceof refusalsOfCore.Refusal)
    .map(asAppError)
    .filter(({ code: name, status }) => status === 503 && typeof name === 'string')
    .map(({ code: name, message }) => `| ${code(name)} | ${message} |`)
  return [refusalHead[language], '|---|---|', ...rows.sort()].join('\n')
}

/** Links of the manifests, which begin at the root, as they are below docs/ or docs/ru/. */
const fromDocs = (text: string, language: Language) =>
  text.replaceAll(language === 'en' ? '](docs/' : '](docs/ru/', '](')

const local = () =>
  named.flatMap(([name, { isLocal }]) => (isLocal && name !== 'PORT' ? [code(name)] : [])).join(', ')

const passedOn = () => named.flatMap(([name, { isLocal }]) => (isLocal ? [] : [name])).join('\n')

const plain = (text: string) =>
  text
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll('`', '')
    .replaceAll('\\|', '|')

function wrapped(text: string): string {
  const lines: string[] = ['#']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (`${last} ${word}`.length > WIDTH && last !== '#') lines.push(`# ${word}`)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join('\n')
}

function exampleLine([name, variable]: readonly [string, Variable]): string {
  const { default: given, isSecret, example } = variable
  const shown = typeof given === 'string' ? plain(given) : (ownDefault(variable) ?? '')
  const comment = variable.en === '' ? '' : `\n${wrapped(plain(variable.en))}\n`
  return `${comment}#${name}=${example ?? (isSecret ? '' : shown)}`
}

/** What stands between the markers of that name in the file; markers of Markdown or of a shell. */
function withPart({ path, text }: { path: string; text: string }, name: string, part: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`].map((marker) =>
    text.includes(marker) ? marker : marker.replace('<!--', '#').replace(' -->', ''),
  )
  const from = text.indexOf(begin ?? '')
  const to = text.indexOf(end ?? '')
  if (from < 0 || to < from)
    throw new Error(
      `${path} has lost its markers "${name}" and "/${name}": put them back, around what they held`,
    )
  return text.slice(0, from + (begin ?? '').length) + part + text.slice(to)
}

/** Every generated file, as it should be. */
export function generated(root: string): Map<string, string> {
  const read = (path: string) => readFileSync(join(root, path), 'utf8')
  const files = new Map<string, string>()
  const set = (path: string, name: string, part: string) =>
    files.set(path, withPart({ path, text: files.get(path) ?? read(path) }, name, part))
  for (const [language, running, docs] of [
    ['en', 'docs/running.md', 'docs/configuration.md'],
    ['ru', 'docs/ru/running.md', 'docs/ru/configuration.md'],
  ] as const) {
    set(running, 'not passed on', local())
    set(docs, 'features', `\n${fromDocs(featuresTable(language), language)}\n`)
    set(docs, 'variables', `\n${fromDocs(variablesTable(language), language)}\n`)
  }
  set('docs/operating.md', 'refusals', `\n${refusalsTable('en')}\n`)
  set('docs/ru/operating.md', 'refusals', `\n${refusalsTable('ru')}\n`)
  set('env.example', 'variables', `\n${named.map(exampleLine).join('\n')}\n`)
  set('scripts/variables', 'variables', `\n${passedOn()}\n`)
  // A copy and no link: a link is a file with a path in it for those who check it out on Windows, and builders that get
  // only what .dockerignore lets through would not find what it leads to.
  files.set('Dockerfile', DOCKERFILE + read('Dockerfile.amvera'))
  return files
}

if (process.argv[1] === import.meta.filename) {
  const root = join(import.meta.dirname, '..')
  for (const [path, text] of generated(root)) {
    if (readFileSync(join(root, path), 'utf8') === text) continue
    writeFileSync(join(root, path), text)
    console.log(`changed ${path}`)
  }
}
