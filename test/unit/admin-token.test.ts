// The admin token that is made where the operator has set none, and the command that prints it.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adminTokenPath, keepAdminToken, readAdminToken } from '../../src/core/files/admin-token.ts'
import { recordLog } from '../helpers/log.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'samovar-token-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))
const path = adminTokenPath(dataDir)

function keep(directory = dataDir) {
  const { log, lines } = recordLog()
  const token = keepAdminToken(directory, log)
  return { token, said: JSON.stringify(lines) }
}

const samovar = (words: string[], env: Record<string, string> = { DATA_DIR: dataDir }) => {
  const { status, stdout, stderr } = spawnSync('node', ['src/cli/samovar.ts', ...words], {
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
  })
  return [status, stdout, stderr] as const
}

test('the first start makes it for the user of the app alone; each says where it is, and not what it is', () => {
  expect(samovar(['token'])).toEqual([1, '', expect.stringMatching(/^samovar: no admin token in .+\n$/)])
  const first = keep()
  expect(first.token).toMatch(/^[\w-]{32}$/)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const second = keep()
  expect(second.token).toBe(first.token)
  for (const { said } of [first, second]) {
    expect(said).toContain(path)
    expect(said).not.toContain(first.token)
  }
  expect(samovar(['token'])).toEqual([0, `${first.token}\n`, ''])
})

test('one that the operator writes there is used; what is none is kept, opens nothing, and is told', () => {
  writeFileSync(path, 'my-own-token\n')
  expect(keep().token).toBe('my-own-token')
  writeFileSync(path, 'short\n')
  const { token, said } = keep()
  expect(token).toMatch(/^[\w-]{32}$/)
  expect(said).toContain(`${path} holds no usable token`)
  expect(said).not.toContain('short')
  expect(readFileSync(path, 'utf8')).toBe('short\n')
  expect(samovar(['token'])).toEqual([
    1,
    '',
    expect.stringMatching(/^samovar: .* holds no usable token.*\n$/),
  ])
})

test('an empty file holds nothing of anybody: a token is made there', () => {
  writeFileSync(path, '\n')
  const { token } = keep()
  expect(token).toMatch(/^[\w-]{32}$/)
  expect(readFileSync(path, 'utf8')).toBe(`${token}\n`)
})

test('where it cannot be kept or read, the app starts with one that nobody knows, and a line says so', () => {
  const file = join(dataDir, 'a-file')
  writeFileSync(file, '')
  const nowhere = keep(file)
  expect(nowhere.said).toMatch(/cannot be kept in .*\(ENOTDIR\)/)
  const folder = join(dataDir, 'b')
  mkdirSync(join(folder, 'admin-token'), { recursive: true })
  expect(keep(folder).said).toMatch(/cannot be kept in .*\(EISDIR\)/)
  expect(samovar(['token'], { DATA_DIR: folder })).toEqual([
    1,
    '',
    expect.stringMatching(/^samovar: .*cannot be read \(EISDIR\).*\n$/),
  ])
  expect(readAdminToken(dataDir)).not.toBe(nowhere.token)
})

test('the command: ADMIN_TOKEN comes first, help lists the commands, and what it does not know ends with 2', () => {
  expect(samovar(['token'], { DATA_DIR: dataDir, ADMIN_TOKEN: 'a-set-token' })).toEqual([
    0,
    'a-set-token\n',
    '',
  ])
  expect(samovar(['--help'])).toEqual([0, expect.stringContaining('  token '), ''])
  for (const words of [[], ['nonsense'], ['token', 'more'], ['toString']])
    expect([words, ...samovar(words)]).toEqual([
      words,
      2,
      '',
      expect.stringMatching(/^samovar: [^\n]+--help[^\n]+\n$/),
    ])
})
