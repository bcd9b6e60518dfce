// npm run new: the project passes its own tests.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProject } from '../../scripts/new.ts'

const place = mkdtempSync(join(tmpdir(), 'samovar-new-'))
afterAll(() => rmSync(place, { recursive: true, force: true }))

test('a new project passes its own tests', async () => {
  const folder = join(place, 'my-app')
  expect(createProject(folder)).toEqual({ folder })
  expect(readFileSync(join(folder, 'Dockerfile'), 'utf8')).toContain('SITE_NAME="my-app"')
  expect(readFileSync(join(folder, 'package.json'), 'utf8')).toContain('"name": "my-app"')
  expect(readFileSync(join(folder, '.dockerignore'), 'utf8')).toContain('node_modules')
  rmSync(join(folder, 'node_modules/samovar')) // as npm install of a package does
  // NODE_TEST_CONTEXT would make a test of this one of them.
  const said = execFileSync(process.execPath, ['--test', '--test-reporter=spec', 'test/feature.test.js'], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  })
  expect(said).toMatch(/pass 2\b/)
  // Node 20 starts the tests where that is what there is; the app is started with Samovar's own.
  const { node } = (await import(join(folder, 'scripts/samovar.js'))) as { node: string }
  expect(node).toBe(join(import.meta.dirname, '../../node_modules/.bin/node'))
  expect(createProject(folder)).toBe(`${folder} is there already, and is not empty`)
  expect(createProject(join(place, 'My App'))).toBe('my app is no name for a project: use a-z, 0-9 and -')
})
