// What the state role keeps on disk (samovar.db): the journal of what Redis has not seen, a copy of what it has, and
// the reports of past outages. A damaged file is moved aside and reported; it never keeps the app from starting.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { MINUTE, SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { DeletedDisk } from '../../cache/pending-invalidations.ts'
import { openOrReplace } from '../../open-or-replace.ts'
import { copyLocalDatabase, type LocalDatabase, openLocalDatabase } from '../../sqlite.ts'
import { decodeValue, encodeValue } from '../kinds/codec.ts'
import type { HitLog, Members, StateKind, VersionedEntry } from '../kinds/versioned-entry.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS journal (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS copy (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS deleted (key TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS jobs (key TEXT PRIMARY KEY, job TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outages (id TEXT PRIMARY KEY, started_at INTEGER NOT NULL, report TEXT NOT NULL) STRICT;`
const KEPT_OUTAGES = 100
const RETRY_MS = 2 * SECOND
const SWEEP_MS = 10 * MINUTE

type Table = 'journal' | 'copy'

// In its place: REPLACE would move the row, and write its index as well.
const upsert = (table: Table) => `INSERT INTO ${table} VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, value = excluded.value, expires_at = excluded.expires_at`
const UPSERT = { journal: upsert('journal'), copy: upsert('copy') }

/** A row that is written, or deleted: it is moot from then on, as one is that has expired. */
interface Write {
  readonly table: Table | 'facts' | 'deleted' | 'jobs' | 'outages'
  readonly key: string
  readonly mootAtMs: number
  run(): void
}

export interface StateDisk extends DeletedDisk {
  load(table: Table): [string, VersionedEntry][]
  /** How many rows could not be read since the file was opened: what they held is lost. */
  unreadable(): number
  /** Commits the versions; undefined deletes. */
  save(table: Table, entries: Iterable<readonly [string, VersionedEntry | undefined]>): void
  metadata(name: string): string | undefined
  setMetadata(name: string, value: string): void
  jobs(): [string, string][]
  /** Commits the job; undefined deletes. */
  saveJob(key: string, job: string | undefined): void
  /** The last 100 reports, newest first. */
  outages(): string[]
  saveOutage(id: string, startedAtMs: number, report: string): void
  close(): void
}

/** Opens the file, or a new one where it is missing or damaged. Throws when neither can be done: no space, no permission. */
export function openStateDisk(path: string, log: Log): StateDisk {
  const replaced = 'ALERT the journal on disk was damaged: it is set aside, and a new one begins'
  return wrap(
    openOrReplace(path, SCHEMA, (fields) => log.error(fields, replaced)),
    log,
  )
}

/** What another container's file holds, read from a copy of it; empty when it cannot be read. */
export function peekStateDisk(path: string, log: Log): [string, VersionedEntry][] {
  const folder = mkdtempSync(join(tmpdir(), 'samovar-'))
  try {
    const copied = join(folder, basename(path))
    copyLocalDatabase(path, copied)
    const disk = wrap(openLocalDatabase(copied, SCHEMA), log)
    try {
      return [...disk.load('copy'), ...disk.load('journal')]
    } finally {
      disk.close()
    }
  } catch (error) {
    log.info({ path, err: error }, 'no copy of the state could be read from the disk: memory starts empty')
    return []
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * Reads throw. A write that fails is reported, and made good as soon as it can be: memory has it until then, and no
 * caller fails because of it.
 */
function wrap(database: LocalDatabase, log: Log): StateDisk {
  let unreadable = 0
  const owed = new Map<string, Write>() // the last write of each row that is not on the disk
  const timers = [setInterval(makeGood, RETRY_MS), setInterval(dropExpired, SWEEP_MS)]
  for (const timer of timers) timer.unref()

  const put = (table: Write['table'], key: string, run: () => void, mootAtMs = Number.POSITIVE_INFINITY) => ({
    table,
    key,
    mootAtMs,
    run,
  })
  const remove = (table: 'journal' | 'copy' | 'deleted' | 'jobs', key: string) =>
    put(table, key, () => database.run(`DELETE FROM ${table} WHERE key = ?`, key), 0)
  dropExpired()

  function write(writes: readonly Write[]): void {
    if (owed.size === 0 && commit(writes)) return
    for (const one of writes) owed.set(`${one.table} ${one.key}`, one)
  }

  function commit(writes: Iterable<Write>): boolean {
    try {
      database.transaction(() => {
        for (const { run } of writes) run()
      })
      return true
    } catch (error) {
      if (owed.size === 0)
        log.error(
          { err: error },
          'ALERT the journal cannot be written: a restart while Redis is away loses what is in it',
        )
      return false
    }
  }

  function makeGood(): void {
    if (owed.size === 0) return
    if (commit(owed.values())) {
      log.info({ rows: owed.size }, 'the journal is written again, and all that was missing in it')
      owed.clear()
    } else dropMoot()
  }

  /** What would leave nothing where nothing is: so what is owed is bounded by what is kept, and by what is in the file. */
  function dropMoot(): void {
    for (const [row, { table, key, mootAtMs }] of owed)
      if (mootAtMs <= Date.now() && !isInFile(table, key)) owed.delete(row)
  }

  function isInFile(table: Write['table'], key: string): boolean {
    try {
      return database.all(`SELECT 1 FROM ${table} WHERE key = ?`, key).length > 0
    } catch {
      return true // a disk that cannot be read, either
    }
  }

  /** Nobody tells of a key that has merely expired, and the file must not grow for ever. */
  function dropExpired(): void {
    write([put('copy', '', () => database.run('DELETE FROM copy WHERE expires_at <= ?', Date.now()))])
  }

  return {
    load(table) {
      const rows = database.all(`SELECT key, kind, value, expires_at FROM ${table}`)
      return rows.flatMap(({ key, kind, value, expires_at }): [string, VersionedEntry][] => {
        const version = decode(kind as StateKind, Buffer.from(value as Uint8Array))
        if (!version) unreadable += 1
        return version ? [[String(key), { value: version, expiresAtMs: Number(expires_at) }]] : []
      })
    },
    unreadable: () => unreadable,
    save: (table, entries) =>
      write(
        Array.from(entries, ([key, kept]) => {
          if (!kept) return remove(table, key)
          const { value, expiresAtMs } = kept
          const statement = UPSERT[table]
          const run = () => database.run(statement, key, value.kind, encode(value), expiresAtMs)
          return put(table, key, run, expiresAtMs)
        }),
      ),
    metadata: (name) =>
      database.all('SELECT value FROM facts WHERE name = ?', name)[0]?.value as string | undefined,
    setMetadata: (name, value) =>
      write([put('facts', name, () => database.run('REPLACE INTO facts VALUES (?, ?)', name, value))]),
    deleted: () => database.all('SELECT key FROM deleted').map(({ key }) => String(key)),
    saveDeleted: (names) =>
      write(
        names.map((name) =>
          put('deleted', name, () => database.run('REPLACE INTO deleted VALUES (?)', name)),
        ),
      ),
    settleDeleted: (names) => write(names.map((name) => remove('deleted', name))),
    jobs: () => database.all('SELECT key, job FROM jobs').map(({ key, job }) => [String(key), String(job)]),
    saveJob: (key, job) =>
      write([
        job === undefined
          ? remove('jobs', key)
          : put('jobs', key, () => database.run('REPLACE INTO jobs VALUES (?, ?)', key, job)),
      ]),
    outages: () =>
      database.all('SELECT report FROM outages ORDER BY started_at DESC').map(({ report }) => String(report)),
    saveOutage: (id, startedAtMs, report) =>
      write([
        put('outages', id, () => {
          database.run('REPLACE INTO outages VALUES (?, ?, ?)', id, startedAtMs, report)
          database.run(
            `DELETE FROM outages WHERE id NOT IN (SELECT id FROM outages ORDER BY started_at DESC LIMIT ${KEPT_OUTAGES})`,
          )
        }),
      ]),
    close() {
      for (const timer of timers) clearInterval(timer)
      makeGood()
      database.close()
    },
  }
}

function encode(value: VersionedEntry['value']): Buffer {
  if (value.kind === 'log') return Buffer.from(JSON.stringify(value.hits))
  if (value.kind === 'members') return Buffer.from(JSON.stringify(value.members))
  return encodeValue(value)
}

function decode(kind: StateKind, bytes: Buffer): VersionedEntry['value'] | undefined {
  if (kind === 'log') return { kind, hits: JSON.parse(bytes.toString()) as HitLog['hits'] }
  if (kind === 'members') return { kind, members: JSON.parse(bytes.toString()) as Members['members'] }
  return decodeValue(kind, bytes)
}
