// The table of countries: how it is made from `countries-list`, and how a row becomes a Country.
import { countries } from 'countries-list'
import type { Row, Sql } from '../../infra/sql/sql.ts'
import type { Country, Language } from './country.ts'

const COLUMNS = [
  'code',
  'name_en',
  'name_ru',
  'native',
  'continent',
  'capital',
  'currencies',
  'languages',
  'phones',
]

/** Fills an empty database. The package has no Russian names: those are the CLDR's, which Node carries. */
export function fillCountries(run: (statement: string, ...parameters: string[]) => void): void {
  run(`CREATE TABLE countries (
    code TEXT PRIMARY KEY, name_en TEXT NOT NULL, name_ru TEXT NOT NULL, native TEXT NOT NULL, continent TEXT NOT NULL,
    capital TEXT NOT NULL, currencies TEXT NOT NULL, languages TEXT NOT NULL, phones TEXT NOT NULL
  ) STRICT`)
  const russian = new Intl.DisplayNames('ru', { type: 'region' })
  const insert = `INSERT INTO countries (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})`
  for (const [code, { name, native, continent, capital, currency, languages, phone }] of Object.entries(
    countries,
  )) {
    const lists = [currency, languages, phone.map(String)].map((list) => JSON.stringify(list))
    run(insert, code, name, russian.of(code) ?? name, native, continent, capital, ...lists)
  }
}

/** All countries, sorted by their name in the language. */
export async function listCountries(sql: Sql, language: Language): Promise<Country[]> {
  const rows = await sql.all(`SELECT ${COLUMNS.join(', ')} FROM countries`)
  const { compare } = new Intl.Collator(language)
  return rows.map((row) => asCountry(row, language)).sort((a, b) => compare(a.name, b.name))
}

/** The country of that code, which is upper case; undefined when there is none. */
export async function findCountry(sql: Sql, code: string, language: Language): Promise<Country | undefined> {
  const [row] = await sql.all(`SELECT ${COLUMNS.join(', ')} FROM countries WHERE code = ?`, code)
  return row && asCountry(row, language)
}

function asCountry(row: Row, language: Language): Country {
  const text = (column: string) => String(row[column])
  const list = (column: string) => JSON.parse(text(column)) as string[]
  const names = { en: text('name_en'), ru: text('name_ru') }
  return {
    code: text('code'),
    name: names[language],
    names,
    native: text('native'),
    continent: text('continent'),
    capital: text('capital'),
    currencies: list('currencies'),
    languages: list('languages'),
    phones: list('phones'),
  }
}
