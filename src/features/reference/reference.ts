// Reference data through the cache: countries from a SQL database, under keys that an operator can look up.
import { z } from 'zod'
import type { Cache } from '../../infra/cache.ts'
import type { Cached } from '../../infra/cached.ts'
import type { Sql } from '../../infra/sql/sql.ts'
import { DAY } from '../../lib/time.ts'
import { findCountry, listCountries } from './countries-table.ts'
import { type Country, countrySchema, type Language } from './country.ts'

const listSchema = z.object({ language: z.string(), total: z.number(), countries: z.array(countrySchema) })
export type CountryList = z.infer<typeof listSchema>

export interface Reference {
  list(language: Language): Promise<Cached<CountryList>>
  /** `value` is undefined when no country has that code. */
  find(code: string, language: Language): Promise<Cached<Country>>
}

export interface ReferenceParts {
  cache: Pick<Cache, 'getOrLoad'>
  sql: Sql
  freshMs: number
}

export function createReference({ cache, sql, freshMs }: ReferenceParts): Reference {
  const lasting = { freshMs, staleMs: 7 * DAY, tags: ['countries'] }
  return {
    list(language) {
      const policy = { ...lasting, parse: listSchema.parse }
      return cache.getOrLoad(`countries:list:${language}`, policy, async () => {
        const countries = await listCountries(sql, language)
        return { language, total: countries.length, countries }
      })
    },
    find(code, language) {
      const policy = { ...lasting, parse: countrySchema.parse }
      return cache.getOrLoad(`countries:code:${code}:${language}`, policy, () =>
        findCountry(sql, code, language),
      )
    },
  }
}
