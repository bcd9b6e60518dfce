import { localPath } from '../../src/features/sessions/return-path.ts'

test.each([
  ['/', '/'],
  ['/account', '/account'],
  ['/account?lang=ru&x=//y', '/account?lang=ru&x=//y'],
  ['/a/../b', '/b'],
  ['/привет', '/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82'],
])('%s leads to %s', (given, path) => {
  expect(localPath(given)).toBe(path)
})

test.each([
  '',
  'account',
  '//evil.example',
  '//evil.example/account',
  '/\\evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '\t//evil.example',
  '/.//evil.example',
  '/a/..//evil.example',
  'https://evil.example/account',
  'javascript:alert(1)',
  '///evil.example',
  '/'.padEnd(600, 'x'),
])('%j leads nowhere', (given) => {
  expect(localPath(given)).toBeUndefined()
})
