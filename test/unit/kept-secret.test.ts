import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInstallation } from '../../src/core/files/installation.ts'
import { keepSecret } from '../../src/host/kept-secret.ts'
import type { Log } from '../../src/log.ts'
import { recordLog } from '../helpers/log.ts'

/** As a process of its own would. */
const keep = (dataDir: string, log: Log) => keepSecret(dataDir, log, createInstallation(dataDir, log))

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'samovar-secret-'))
})
afterEach(() => {
  rmSync(dir, { recursive: true, force: true })
})

test('it is made once, long, in a file that only its owner reads, in a directory that need not be there', () => {
  const { log, lines } = recordLog()
  const dataDir = join(dir, 'new', 'data')
  const secret = keep(dataDir, log)
  expect(secret).toMatch(/^[\w-]{43}$/)
  expect(statSync(join(dataDir, 'session-secret')).mode & 0o777).toBe(0o600)
  expect(readdirSync(dataDir)).toEqual(['installation', 'session-secret'])
  expect(keep(dataDir, log)).toBe(secret)
  expect(lines).toEqual([])
})

test('what is there is used, with or without a newline', () => {
  writeFileSync(join(dir, 'session-secret'), `${'s'.repeat(40)}\n`)
  expect(keep(dir, recordLog().log)).toBe('s'.repeat(40))
})

test.each(['', 'short\n'])('what is too little to sign with is replaced: %j', (damaged) => {
  writeFileSync(join(dir, 'session-secret'), damaged)
  const secret = keep(dir, recordLog().log)
  expect(readFileSync(join(dir, 'session-secret'), 'utf8').trim()).toBe(secret)
  expect(secret).toHaveLength(43)
})

test('where it cannot be kept, one is used and a warning says what that costs', () => {
  const { log, lines } = recordLog()
  writeFileSync(join(dir, 'file'), '')
  const blocked = join(dir, 'file', 'data') // a directory below a file: not even root makes it
  expect(keep(blocked, log)).toHaveLength(43)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ level: 'warn', message: expect.stringContaining('SESSION_SECRET') })
})

test('one that is there and may not be read is not replaced', () => {
  const path = join(dir, 'session-secret')
  writeFileSync(path, 's'.repeat(40))
  chmodSync(path, 0)
  if (process.getuid?.() === 0) return expect(keep(dir, recordLog().log)).toBe('s'.repeat(40)) // root reads it
  expect(keep(dir, recordLog().log)).not.toBe('s'.repeat(40))
  chmodSync(path, 0o600)
  expect(readFileSync(path, 'utf8')).toBe('s'.repeat(40))
})
