// Reference data: countries from a SQL database, through the cache.
import { defineFeature } from '../../feature.ts'
import { HOUR } from '../../lib/time.ts'
import type { TableCopy, TableSource } from '../../sql/sql.ts'
import { positive } from '../../variables.ts'
import { COLUMNS, fillCountries } from './countries-table.ts'
import { type Language, matches } from './country.ts'
import { createReference } from './reference.ts'
import { cachedReference, referenceRoutes } from './reference-routes.ts'
import { createReferenceTable } from './reference-table.ts'
import { refreshRegularly } from './refresh-regularly.ts'

export interface ReferenceParts {
  openDatabase(options: { fill: typeof fillCountries; columns: readonly string[] }): {
    source: TableSource
    copy: TableCopy | undefined
  }
}

export const reference = defineFeature({
  name: 'reference',
  about: { en: 'countries at `/api/countries`', ru: 'страны на `/api/countries`' },
  variables: {
    CACHE_TTL_HOURS: {
      schema: positive.default(24),
      en:
        'how many hours [reference data](docs/features/reference.md) (countries) is fresh; it is ' +
        'read again before that',
      ru:
        'сколько часов свежи [справочные данные](docs/ru/features/reference.md) (страны); ' +
        'перечитываются они раньше',
    },
  },
  setup({ config, cache, admin, log }, { openDatabase }: ReferenceParts) {
    const freshMs = config.CACHE_TTL_HOURS * HOUR
    const table = createReferenceTable({ ...openDatabase({ fill: fillCountries, columns: COLUMNS }), log })
    const countries = createReference({ cache, table, freshMs })
    return {
      cached: cachedReference(countries),
      routes: referenceRoutes({ reference: countries, guard: admin.only }),
      close: refreshRegularly({ reference: countries, freshMs }).close,
      provides: {
        /** The countries whose name, capital or code contains the text; all when it is empty. */
        async search(language: Language, text: string) {
          const { value } = await countries.list(language)
          return (value?.countries ?? []).filter((country) => matches(country, text))
        },
      },
    }
  },
})
