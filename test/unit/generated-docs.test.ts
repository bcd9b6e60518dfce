// What npm run docs generates is what the files hold.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generated } from '../../scripts/generate-docs.ts'

const root = join(import.meta.dirname, '../..')

test.each([...generated(root)])('%s is current: npm run docs', (path, text) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(text)
})

test('a value that is missing in the manifests would be noticed', () => {
  const text = generated(root).get('docs/configuration.md') ?? ''
  for (const name of ['PORT', 'ICE_SERVERS', 'CALL_SOCKETS', 'TELEGRAM_API_URL', 'WEBHOOK_CLOSED'])
    expect(text).toContain(`| \`${name}\` |`)
  const passed = generated(root).get('scripts/variables') ?? ''
  for (const name of ['ICE_SERVERS', 'CALL_SOCKETS', 'TELEGRAM_API_URL'])
    expect(passed).toContain(`\n${name}\n`)
})

test('a file whose markers a merge has lost is named', () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'samovar-docs-'))
  mkdirSync(join(elsewhere, 'docs'))
  writeFileSync(join(elsewhere, 'docs/running.md'), '# Running')
  expect(() => generated(elsewhere)).toThrow(
    'docs/running.md has lost its markers "not passed on" and "/not passed on"',
  )
  rmSync(elsewhere, { recursive: true })
})
