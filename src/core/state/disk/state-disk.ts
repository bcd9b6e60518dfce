// What the state role keeps on disk (samovar.db): the journal of what Redis has not seen, a copy of what it has,
// and the reports of past outages. A damaged file is set aside and reported, and what can be read of it is in a new
// one; a damaged row is left out and reported. Neither ever keeps the app from starting.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import { MINUTE } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { DamageLog } from '../../damage-log.ts'
import type { Installation } from '../../files/installation.ts'
import { keys } from '../../keys.ts'
import { type Opened, openOrReplace } from '../../open-or-replace.ts'
import { copyLocalDatabase, type LocalDatabase } from '../../sqlite.ts'
import { checksumOf, sealText, unsealText } from '../kinds/checksum.ts'
import { decodeStored, encodeStored, type VersionedEntry } from '../kinds/kinds.ts'
import { maxRegisterMap } from '../kinds/max-register-map.ts'
import { createRetryQueue, type Table, type Write } from './retry-queue.ts'
import { putRow, type VersionRow, type VersionTable } from './write-rows.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS journal (
  key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS copy (
  key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS deleted (key TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS jobs (key TEXT PRIMARY KEY, job TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outages (id TEXT PRIMARY KEY, started_at INTEGER NOT NULL, report TEXT NOT NULL) STRICT;`
const KEPT_OUTAGES = 100
const SWEEP_MS = 10 * MINUTE
const COST =
  'What Redis has is used. Lost, if Redis does not have it: logins, logouts and deliveries that were accepted while ' +
  'Redis was away, jobs that had not run yet, and the reports of outages'
/** Where the generation counters are: every release looks for them there. */
const COUNTERS = { key: keys.generations, name: 'clears' }

type Row = ReturnType<LocalDatabase['all']>[number]

// Beside the key of each pending invalidation there is this row: the key, with its checksum before it. If either is
// damaged the other still names the key, and what a damaged one names is deleted from the cache, which is harmless.
const CHECKED = '\u0001'
const checkedOf = (key: string) => `${CHECKED}${checksumOf('deleted', key, '')}${key}`

export interface StateDisk {
  load(table: VersionTable): [string, VersionedEntry][]
  /** False where the file was missing, damaged or of an earlier time: what is not in it may have been. */
  isWhole(): boolean
  /** How many versions could not be read since the file was opened: they are lost. */
  unreadable(): number
  /** Commits the versions; undefined deletes. */
  save(table: VersionTable, entries: Iterable<readonly [string, VersionedEntry | undefined]>): void
  metadata(name: string): string | undefined
  setMetadata(name: string, value: string): void
  /** Keys of the cache that are invalid, and that Redis may still have. */
  deleted(): string[]
  saveDeleted(keys: readonly string[]): void
  acknowledgeDeleted(keys: readonly string[]): void
  jobs(): [string, string][]
  /** Commits the job; undefined deletes. */
  saveJob(key: string, job: string | undefined): void
  /** The last 100 reports, newest first. */
  outages(): string[]
  saveOutage(id: string, startedAtMs: number, report: string): void
  close(): void
}

export interface StateDiskOptions {
  log: Log
  /** What the other files know of this one; undefined: it is a copy, of which nobody knows. */
  installation?: Installation
  damage: Pick<DamageLog, 'note'>
}

/**
 * Opens the file, or a new one where it is missing or damaged. Throws when neither can be done: no space, no
 * permission.
 */
export function openStateDisk(path: string, options: StateDiskOptions): StateDisk {
  const { installation } = options
  return wrap(openOrReplace(path, { schema: SCHEMA, installation, cost: COST }), options)
}

/** What another container's file holds, read from a copy of it; empty when it cannot be read. */
export function peekStateDisk(path: string, options: StateDiskOptions): [string, VersionedEntry][] {
  try {
    return withCopy(path, options, (disk) => [...disk.load('copy'), ...disk.load('journal')])
  } catch (error) {
    options.log.info(
      { path, err: error },
      'no copy of the state could be read from the disk: memory starts empty',
    )
    return []
  }
}

/** One of the metadata of the file, which another container may have open; undefined also when it cannot be read. */
export function readFact(path: string, name: string): string | undefined {
  const nothing = () => {}
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing }
  try {
    return withCopy(path, { log, damage: { note: nothing } }, (disk) => disk.metadata(name))
  } catch {
    return undefined
  }
}

function withCopy<T>(path: string, options: StateDiskOptions, read: (disk: StateDisk) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'samovar-'))
  try {
    const copied = join(folder, basename(path))
    copyLocalDatabase(path, copied)
    const disk = wrap(openOrReplace(copied, { schema: SCHEMA }), options)
    try {
      return read(disk)
    } finally {
      disk.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Reads throw when the disk fails; writes do not (retry-queue.ts). */
function wrap({ database, problem }: Opened, { log, damage }: StateDiskOptions): StateDisk {
  let unreadable = 0
  const queue = createRetryQueue(database, log)
  const { write } = queue
  const timer = setInterval(dropExpired, SWEEP_MS).unref()

  const put = (table: Table, key: string, run: () => void, mootAtMs = Number.POSITIVE_INFINITY): Write => ({
    table,
    key,
    mootAtMs,
    run,
  })
  const remove = (table: Exclude<Table, 'facts' | 'outages'>, key: string) =>
    put(table, key, () => database.run(`DELETE FROM ${table} WHERE key = ?`, key), 0)
  const putMetadata = (name: string, value: string) =>
    put('facts', name, () => database.run('REPLACE INTO facts VALUES (?, ?)', name, value))
  dropEnded()

  /** As the file is opened: the column alone may be damaged, and what can be decoded says itself when it ends. */
  function dropEnded(): void {
    const rows = database.all(
      'SELECT key, kind, value, expires_at FROM copy WHERE expires_at <= ?',
      Date.now(),
    )
    const ended = rows.filter((row) => {
      const entry = decodeRow(row)
      return entry !== corrupt && entry.expiresAtMs <= Date.now()
    })
    write(ended.map(({ key }) => remove('copy', String(key))))
  }

  /** Nobody tells of a key that has merely expired, and the file must not grow without end. */
  function dropExpired(): void {
    write([put('copy', '', () => database.run('DELETE FROM copy WHERE expires_at <= ?', Date.now()))])
  }

  function lose(table: string, key: string): [] {
    unreadable += 1
    damage.note('disk', `${table} ${key}`)
    return []
  }

  function counters(): [string, VersionedEntry][] {
    const text = metadata(COUNTERS.name)
    if (text === undefined) return []
    const entry = maxRegisterMap.onDisk.decode(Buffer.from(text), COUNTERS.key, Number.POSITIVE_INFINITY)
    return entry === corrupt ? lose('facts', COUNTERS.name) : [[COUNTERS.key, entry]]
  }

  const metadata = (name: string) =>
    database.all('SELECT value FROM facts WHERE name = ?', name)[0]?.value as string | undefined

  function saveOne(table: VersionTable, key: string, version: VersionedEntry | undefined): Write | undefined {
    if (key === COUNTERS.key)
      return version && putMetadata(COUNTERS.name, encodeStored(key, version).bytes.toString())
    if (!version) return remove(table, key)
    const { storedAs, bytes } = encodeStored(key, version)
    const row: VersionRow = [key, storedAs, bytes, version.expiresAtMs]
    return { table, key, mootAtMs: version.expiresAtMs, run: () => putRow(database, table, row), row }
  }

  return {
    load(table) {
      const rows = database.all(`SELECT key, kind, value, expires_at FROM ${table}`)
      const versions = rows.flatMap((row): [string, VersionedEntry][] => {
        const entry = decodeRow(row)
        return entry === corrupt ? lose(table, String(row.key)) : [[String(row.key), entry]]
      })
      return table === 'copy' ? [...counters(), ...versions] : versions
    },
    isWhole: () => problem === undefined,
    unreadable: () => unreadable,
    save(table, entries) {
      const writes: Write[] = []
      for (const [key, version] of entries) {
        const one = saveOne(table, key, version)
        if (one) writes.push(one)
      }
      write(writes)
    },
    metadata,
    setMetadata: (name, value) => write([putMetadata(name, value)]),
    deleted() {
      const names = database.all('SELECT key FROM deleted').map(({ key }) => String(key))
      const keysOf = (name: string) => {
        if (!name.startsWith(CHECKED)) return [name]
        const key = name.slice(CHECKED.length + 8)
        return checkedOf(key) === name ? [key] : lose('deleted', key)
      }
      return [...new Set(names.flatMap(keysOf))]
    },
    saveDeleted: (names) =>
      write(
        withChecked(names).map((name) =>
          put('deleted', name, () => database.run('REPLACE INTO deleted VALUES (?)', name)),
        ),
      ),
    acknowledgeDeleted: (names) => write(withChecked(names).map((name) => remove('deleted', name))),
    jobs: () =>
      database.all('SELECT key, job FROM jobs').flatMap(({ key, job }): [string, string][] => {
        const text = unsealText(`job ${key}`, String(job))
        return text === corrupt ? lose('jobs', String(key)) : [[String(key), text]]
      }),
    saveJob: (key, job) =>
      write([
        job === undefined
          ? remove('jobs', key)
          : put('jobs', key, () =>
              database.run('REPLACE INTO jobs VALUES (?, ?)', key, sealText(`job ${key}`, job)),
            ),
      ]),
    outages: () =>
      database.all('SELECT * FROM outages ORDER BY started_at DESC').flatMap(({ id, started_at, report }) => {
        const text = unsealText(`outage ${id} ${started_at}`, String(report))
        if (text === corrupt) damage.note('disk', 'outages')
        return text === corrupt ? [] : [text]
      }),
    saveOutage: (id, startedAtMs, report) =>
      write([
        put('outages', id, () => {
          const text = sealText(`outage ${id} ${startedAtMs}`, report)
          database.run('REPLACE INTO outages VALUES (?, ?, ?)', id, startedAtMs, text)
          database.run(
            `DELETE FROM outages WHERE id NOT IN
             (SELECT id FROM outages ORDER BY started_at DESC LIMIT ${KEPT_OUTAGES})`,
          )
        }),
      ]),
    close() {
      clearInterval(timer)
      queue.close()
      database.close()
    },
  }
}

function decodeRow({ key, kind, value, expires_at }: Row): VersionedEntry | Corrupt {
  const bytes = Buffer.from(value as Uint8Array)
  return decodeStored(String(key), { storedAs: String(kind), bytes, expiresAtMs: Number(expires_at) })
}

const withChecked = (names: readonly string[]) => names.flatMap((name) => [name, checkedOf(name)])
