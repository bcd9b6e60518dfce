// The table of countries: how it is made from `countries-list`, and how its rows become countries.
import { countries as listed } from 'countries-list'
import { parseJson } from '../../lib/codec.ts'
import type { Row } from '../../lib/sql-row.ts'
import type { Country, Language } from './country.ts'

export const TABLE = 'countries'
/** The first one names the row. */
export const COLUMNS = [
  'code',
  'name_en',
  'name_ru',
  'native',
  'continent',
  'capital',
  'currencies',
  'languages',
  'phones',
] as const

/** The countries that come with the image. The package has no Russian names: those are from the CLDR in Node. */
export function imageRows(): Row[] {
  const russian = new Intl.DisplayNames('ru', { type: 'region' })
  return Object.entries(listed).map(
    ([code, { name, native, continent, capital, currency, languages, phone }]) => ({
      code,
      name_en: name,
      name_ru: russian.of(code) ?? name,
      native,
      continent,
      capital,
      currencies: JSON.stringify(currency),
      languages: JSON.stringify(languages),
      phones: JSON.stringify(phone.map(String)),
    }),
  )
}

/** Fills an empty SQLite database. */
export function fillCountries(run: (statement: string, ...parameters: Row[string][]) => void): void {
  run(`CREATE TABLE ${TABLE} (
    code TEXT PRIMARY KEY, name_en TEXT NOT NULL, name_ru TEXT NOT NULL, native TEXT NOT NULL, continent TEXT NOT NULL,
    capital TEXT NOT NULL, currencies TEXT NOT NULL, languages TEXT NOT NULL, phones TEXT NOT NULL
  ) STRICT`)
  const insert = `INSERT INTO ${TABLE} (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})`
  for (const row of imageRows()) run(insert, ...COLUMNS.map((column) => row[column] ?? null))
}

export type CountryRow = Omit<Country, 'name' | 'names'> & {
  readonly name_en: string
  readonly name_ru: string
}

export interface ParsedCountries {
  readonly rows: readonly CountryRow[]
  /** What is wrong with each row that is left out. */
  readonly faults: readonly string[]
}

/**
 * The rows as countries, without those that are none. Throws a sentence when there are more of those than countries:
 * then the table is not what it should be, and the last good copy is better.
 */
export function parseCountries(rows: readonly Row[]): ParsedCountries {
  const countries = new Map<string, CountryRow>()
  const faults: string[] = []
  for (const row of rows) {
    try {
      const country = parseRow(row)
      if (countries.has(country.code)) throw new BadRow(row, 'code', 'is there twice')
      countries.set(country.code, country)
    } catch (error) {
      if (!(error instanceof BadRow)) throw error
      faults.push(error.message)
    }
  }
  if (countries.size > 0 && countries.size >= faults.length) return { rows: [...countries.values()], faults }
  // Supabase says nothing else about a table that its policies let no user read.
  throw new Error(faults[0] ?? `the table ${TABLE} has no rows that this user may read`)
}

class BadRow extends Error {
  constructor(row: Row, column: string, fault: string) {
    super(`the table ${TABLE}, row ${row.code}, column ${column}: ${fault}`)
  }
}

// By hand: this is all that a miss of the cache costs, and a schema would make it ten times as much.
function parseRow(row: Row): CountryRow {
  const refuse = (column: string, message: string): never => {
    throw new BadRow(row, column, message)
  }
  function text(column: (typeof COLUMNS)[number]): string {
    const value = row[column]
    return typeof value === 'string' ? value : refuse(column, 'must be text')
  }
  function list(column: (typeof COLUMNS)[number]): string[] {
    const value = parseJson(text(column))
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
    return isList ? value : refuse(column, 'must be a list of texts')
  }
  const code = text('code')
  if (!/^[A-Z]{2}$/.test(code)) refuse('code', 'must be two capital letters')
  return {
    code,
    name_en: text('name_en'),
    name_ru: text('name_ru'),
    native: text('native'),
    continent: text('continent'),
    capital: text('capital'),
    currencies: list('currencies'),
    languages: list('languages'),
    phones: list('phones'),
  }
}

/** All countries, sorted by their name in the language. */
export function listCountries(rows: readonly CountryRow[], language: Language): Country[] {
  const { compare } = new Intl.Collator(language)
  return rows.map((row) => asCountry(row, language)).sort((a, b) => compare(a.name, b.name))
}

/** The country of that code, which is upper case; undefined when there is none. */
export function findCountry(
  rows: readonly CountryRow[],
  code: string,
  language: Language,
): Country | undefined {
  const row = rows.find((candidate) => candidate.code === code)
  return row && asCountry(row, language)
}

function asCountry({ name_en, name_ru, ...rest }: CountryRow, language: Language): Country {
  const { code, ...others } = rest
  const names = { en: name_en, ru: name_ru }
  return { code, name: names[language], names, ...others }
}
