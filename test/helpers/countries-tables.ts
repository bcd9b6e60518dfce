// A table of countries as an operator would make it in PostgreSQL or Supabase.
import { COLUMNS, fillCountries, imageRows } from '../../src/features/reference/countries-table.ts'
import type { TestPostgres } from './postgres-server.ts'

const literal = (value: unknown) => `'${String(value).replaceAll("'", "''")}'`

/** Statements that fill a database without it. Germany has a name that only this database knows. */
export function countriesTable(germany = 'Germany of the database'): string {
  const statements: string[] = []
  fillCountries((text, ...parameters) => {
    const values = parameters.map((value) => literal(value === 'Germany' ? germany : value))
    statements.push(text.replace(/\) STRICT$/, ')').replaceAll('?', () => values.shift() ?? 'NULL'))
  })
  return statements.join(';\n')
}

/** The same as rows with lists, as jsonb columns give them. */
export const countryRows = (germany = 'Germany of the database'): Record<string, unknown>[] =>
  imageRows().map((row) =>
    Object.fromEntries(
      COLUMNS.map((column) => {
        const value = String(row[column])
        if (value.startsWith('[')) return [column, JSON.parse(value)]
        return [column, value === 'Germany' ? germany : value]
      }),
    ),
  )

export async function createCountries(postgres: TestPostgres, germany?: string): Promise<string> {
  const database = await postgres.createDatabase()
  await postgres.query(database, countriesTable(germany))
  return database
}

export const renameGermany = (postgres: TestPostgres, database: string, name: string) =>
  postgres.query(database, `UPDATE countries SET name_en = ${literal(name)} WHERE code = 'DE'`)
