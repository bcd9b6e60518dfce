// One contract for records, wherever they are: a file of ours, or a real PostgreSQL.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDataLock } from '../../src/core/data-lock.ts'
import { createInstallation } from '../../src/core/files/installation.ts'
import { AppError } from '../../src/errors.ts'
import { webhookMigrations } from '../../src/features/webhooks/webhook-records.ts'
import { parsePostgresUrl } from '../../src/lib/postgres-url.ts'
import { openLocalRecords } from '../../src/sql/local-records.ts'
import { openPostgres } from '../../src/sql/postgres.ts'
import { openPostgresRecords } from '../../src/sql/postgres-records.ts'
import type { Migrations, Records, SharedRecords, Transaction } from '../../src/sql/sql.ts'
import { recordLog } from '../helpers/log.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres-server.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.close())

/** A place for records that can be opened again, each time with other migrations. */
interface Place {
  open(migrations: readonly Migrations[]): SharedRecords
  lines: ReturnType<typeof recordLog>['lines']
  close(): Promise<void>
}

const places: Record<string, () => Promise<Place>> = {
  async sqlite() {
    const dir = mkdtempSync(join(tmpdir(), 'samovar-records-'))
    const { log, lines } = recordLog()
    const opened: { close(): void }[] = []
    return {
      lines,
      open(migrations) {
        const path = join(dir, 'records.db')
        const records = openLocalRecords({
          path,
          migrations,
          dataLock: createDataLock(undefined),
          installation: createInstallation(dir, log),
          log,
        })
        opened.push(records)
        return records
      },
      async close() {
        for (const records of opened) records.close()
        rmSync(dir, { recursive: true })
      },
    }
  },
  async postgres() {
    const target = parsePostgresUrl(postgres.url(await postgres.createDatabase()))
    if (typeof target === 'string') throw new Error(target)
    const { log, lines } = recordLog()
    const server = openPostgres(target)
    return {
      lines,
      open: (migrations) => openPostgresRecords({ postgres: server, migrations, log }),
      close: () => server.close(),
    }
  },
}

const first = `CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT NOT NULL, at INTEGER, price REAL) STRICT;
  CREATE UNIQUE INDEX notes_text ON notes (text);`
const notesOf = (...steps: string[]): Migrations[] => [{ of: 'notes', steps }]
const unavailable = { code: 'records_unavailable', status: 503 }

describe.each(['sqlite', 'postgres'])('%s', (name) => {
  let place: Place
  let records: Records
  beforeEach(async () => {
    place = await (places[name] as () => Promise<Place>)()
    records = place.open(notesOf(first))
  })
  afterEach(() => place.close())

  const texts = async (from = records) =>
    (await from.all('SELECT text FROM notes ORDER BY number')).map(({ text }) => text)
  const add = (...values: (string | null)[]) =>
    records.transaction(async (tx) => {
      for (const value of values) tx.run('INSERT INTO notes (text) VALUES (?)', value)
    })

  test('values come back as they went: text, whole and other numbers, nothing', async () => {
    const time = Date.UTC(2040, 0)
    await records.transaction(async (tx) => {
      tx.run('INSERT INTO notes (text, at, price) VALUES (?, ?, ?)', 'ёж\'s "🦔" ?', time, 0.1)
      tx.run("INSERT INTO notes (text) VALUES ('what is ? -- and $1') -- ?")
    })
    expect(await records.all('SELECT * FROM notes ORDER BY number')).toEqual([
      { number: 1, text: 'ёж\'s "🦔" ?', at: time, price: 0.1 },
      { number: 2, text: 'what is ? -- and $1', at: null, price: null },
    ])
    expect(await records.all('SELECT COUNT(*) AS count, SUM(at) AS sum FROM notes')).toEqual([
      { count: 2, sum: time },
    ])
    expect(await texts()).toHaveLength(2)
    expect(await records.all('SELECT at FROM notes WHERE at > ? AND text <> ?', 5, '?')).toEqual([
      { at: time },
    ])
  })

  test('a transaction is committed when its work is done, and reads what was committed before', async () => {
    await add('a')
    const answer = await records.transaction(async (tx) => {
      tx.run('INSERT INTO notes (text) VALUES (?)', 'b')
      expect(await tx.all('SELECT text FROM notes')).toEqual([{ text: 'a' }])
      await add('c') // nothing is held open meanwhile
      return 'answer'
    })
    expect([answer, (await texts()).toSorted()]).toEqual(['answer', ['a', 'b', 'c']])
  })

  test('nothing is kept of work that rejects, or of which one statement fails', async () => {
    const rejecting = records.transaction(async (tx) => {
      tx.run('INSERT INTO notes (text) VALUES (?)', 'a')
      throw new Error('no')
    })
    await expect(rejecting).rejects.toThrow('no')
    await add('b')
    for (const wrong of [add('c', 'b'), add('d', null), records.all('SELECT nonsense FROM notes')]) {
      const error = await wrong.catch((reason: unknown) => reason)
      expect([error, error instanceof AppError]).toEqual([expect.any(Object), false])
    }
    expect(await texts()).toEqual(['b'])
  })

  test('of many that write the same at once, one is kept', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => add('same', 'other')))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await texts()).toEqual(['same', 'other'])
  })

  test('a statement after the end of its transaction is a bug, and says so', async () => {
    let kept: Transaction | undefined
    await records.transaction(async (tx) => {
      kept = tx
    })
    expect(() => kept?.run('DELETE FROM notes')).toThrow(TypeError)
  })

  describe('migrations', () => {
    const second = `ALTER TABLE notes ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';
      CREATE TABLE colours (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
      INSERT INTO colours VALUES ('red');`

    test('each is applied once, in order, to what is there', async () => {
      await add('a')
      for (const _ of [1, 2]) {
        const later = place.open(notesOf(first, second))
        expect(await later.all('SELECT text, colour FROM notes')).toEqual([{ text: 'a', colour: 'red' }])
        expect(await later.all('SELECT name FROM colours')).toEqual([{ name: 'red' }])
      }
      const applied = await records.all('SELECT owner, number FROM samovar_migrations ORDER BY number')
      expect(applied).toEqual([
        { owner: 'notes', number: 1 },
        { owner: 'notes', number: 2 },
      ])
    })

    test('several that open at once apply each once', async () => {
      const all = Array.from({ length: 5 }, () => place.open(notesOf(first, second)))
      for (const colours of await Promise.all(all.map((one) => one.all('SELECT name FROM colours')))) {
        expect(colours).toEqual([{ name: 'red' }])
      }
    })

    test('one that fails half-way leaves nothing, and works once it is right', async () => {
      await add('a')
      const broken = place.open(notesOf(first, `${second} INSERT INTO nowhere VALUES (1);`))
      for (const _ of [1, 2]) await expect(texts(broken)).rejects.toMatchObject(unavailable)
      expect(place.lines.map(({ message }) => message)).toEqual([
        'ALERT the tables of the feature notes cannot be made: its SQL answers 503, all else works',
      ])
      await expect(records.all('SELECT colour FROM notes')).rejects.toThrow()
      expect(await texts(place.open(notesOf(first, second)))).toEqual(['a'])
    })

    test('tables of a newer version are not touched, and the log says why', async () => {
      await place.open(notesOf(first, second)).all('SELECT 1 AS one')
      const older = place.open(notesOf(first))
      const write = older.transaction(async (tx) => tx.run("INSERT INTO notes (text) VALUES ('a')"))
      await expect(write).rejects.toMatchObject(unavailable)
      const [line] = place.lines
      expect(String(line?.fields.err)).toContain('the tables of notes are at version 2')
      expect(await texts(place.open(notesOf(first, second)))).toEqual([])
    })

    test('tables that cannot be made are no fault of the other owners', async () => {
      const broken = { of: 'other', steps: ['CREATE TABEL others (name TEXT);'] }
      const both = place.open([...notesOf(first), broken])
      const own = both.of('notes')
      for (const text of ['a', 'b'])
        await own.transaction(async (tx) => tx.run('INSERT INTO notes (text) VALUES (?)', text))
      expect(await texts(own)).toEqual(['a', 'b'])
      for (const _ of [1, 2])
        await expect(both.of('other').all('SELECT 1 AS one')).rejects.toMatchObject(unavailable)
      expect(place.lines.map(({ message }) => message)).toEqual([
        'ALERT the tables of the feature other cannot be made: its SQL answers 503, all else works',
      ])
    })

    test('the owners do not know of each other', async () => {
      const other = { of: 'other', steps: ['CREATE TABLE others (name TEXT PRIMARY KEY) STRICT;'] }
      const both = place.open([...notesOf(first), other, webhookMigrations])
      expect(await both.all('SELECT * FROM others')).toEqual([])
      expect(await both.all('SELECT * FROM webhook_done')).toEqual([])
      await add('still here')
    })
  })
})
