// The READMEs and docs hold together: every link leads somewhere, every command names what is there, and every page
// begins with the question that it answers.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const root = join(import.meta.dirname, '../..')
const pages = [
  'README.md',
  'README.ru.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]
const read = (page: string) => readFileSync(join(root, page), 'utf8')

/** Without what is code, where brackets are no links and # is no heading. */
const prose = (text: string) => text.replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, '`')

/** As GitHub makes them: lower case, without punctuation, spaces become hyphens; a second one of a name gets -1. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>()
  const headings = text.replace(/^```.*?^```/gms, '').matchAll(/^#{1,6} (.+)$/gm)
  for (const [, heading = ''] of headings) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = plain.replace(/[^\p{L}\p{N}\p{M} _-]/gu, '').replaceAll(' ', '-')
    let name = anchor
    for (let i = 1; anchors.has(name); i++) name = `${anchor}-${i}`
    anchors.add(name)
  }
  return anchors
}

function deadLinksOf(page: string): string[] {
  return [...prose(read(page)).matchAll(/\]\(\s*([^)\s]+)\s*\)/g)].flatMap(([, link = '']) => {
    if (/^(https?|mailto):/.test(link)) return []
    const [path = '', anchor] = decodeURI(link).split('#')
    const target = path === '' ? page : relative(root, join(root, dirname(page), path))
    if (!existsSync(join(root, target))) return [`${page} → ${link}: no such file`]
    const isThere = anchor === undefined || anchorsOf(read(target)).has(anchor)
    return isThere ? [] : [`${page} → ${link}: no such heading`]
  })
}

test('every link of a page leads to a file and a heading that are there', () => {
  expect(pages.flatMap(deadLinksOf)).toEqual([])
})

test('the anchors are those of GitHub', () => {
  expect([...anchorsOf('# A `b`, c: d\n```sh\n# no\n```\n## Что *это*?\n## Что это\n')]).toEqual([
    'a-b-c-d',
    'что-это',
    'что-это-1',
  ])
})

test.each(pages.filter((page) => page.startsWith('docs/')))('%s begins with a question', (page) => {
  const [title = '', , question = ''] = read(page).split('\n')
  expect(title).toMatch(/^# /)
  expect(title.endsWith('?') || /^\*\*.+\?\*\*$/.test(question)).toBe(true)
})

/** The commands of all pages, line by line; what a backslash continues is one. */
const commands = pages.flatMap((page) =>
  [...read(page).matchAll(/^ *```sh\n(.*?)^ *```|^ {4}(npm run .*)$/gms)].flatMap(([, block, line]) =>
    (block ?? line ?? '')
      .replace(/\\\n\s*/g, '')
      .split('\n')
      .map((command) => ({ page, command })),
  ),
)

test('each script of npm, file of this tree and test in a command is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const missing = commands.flatMap(({ page, command }) => {
    const script = /\bnpm run (?:--silent )?([\w:-]+)/.exec(command)?.[1]
    const file =
      /\b(?:sh|node|-f) ((?:scripts|bench|test|src|deploy)\/[\w./-]+|compose[\w.]*|Dockerfile[\w.]*)/.exec(
        command,
      )?.[1]
    return [
      ...(script !== undefined && !(script in scripts) ? [`${page}: npm run ${script}`] : []),
      ...(file !== undefined && !existsSync(join(root, file)) ? [`${page}: ${file}`] : []),
    ]
  })
  expect(commands.length).toBeGreaterThan(60)
  expect(missing).toEqual([])
})

test('READMEs are short, show the outage, and have the same commands', () => {
  const [english = '', russian = ''] = ['README.md', 'README.ru.md'].map(read)
  const blocks = (text: string) =>
    [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = '']) => block.replace(/ +#.*$/gm, ''))
  expect(blocks(russian)).toEqual(blocks(english))
  for (const text of [english, russian]) {
    expect(text.split('\n').length).toBeLessThan(130)
    expect(text).toMatch(/^!\[.*\]\(docs\/images\/outage(-ru)?\.png\)$/m)
  }
})

test('the figures of the READMEs are those that were measured', () => {
  const tables = read('docs/reliability.md')
  const rowsOf = (name: string) => tables.split('\n').filter((line) => line.startsWith(`| ${name} `))
  for (const [name, figures] of [
    ['frozen in the middle of a pipeline', ['212', '8.12 s', '126 ms']],
    ['read-only replica', ['581', '128', '19.2 ms']],
    ['disk full under the append-only file', ['578', '123', '21.3 ms']],
    ['came back empty', ['88', '42', '18.0 ms']],
    ['came back with an older snapshot', ['274', '115', '34.5 ms']],
    ['frozen 5 s', ['5.00 s', '121 ms']],
    ['killed (-9)', ['1.82 s', '10.1 ms', '21']],
  ] as const) {
    const cells = rowsOf(name).flatMap((line) => line.split('|').map((cell) => cell.trim()))
    for (const figure of figures) expect([name, cells]).toEqual([name, expect.arrayContaining([figure])])
  }
})
