// The page at /: how the app is doing, and its countries.
import { defineFeature } from '../../feature.ts'
import type { RoleOutage } from './last-outage.ts'
import { type PageParts, pageRoutes } from './page-routes.ts'

export interface PageFeatureParts {
  outages(): readonly RoleOutage[]
  figures(): {
    readonly startedAtMs: number
    readonly counts: { readonly hits: number; readonly misses: number }
  }
  /** Undefined where there is no reference data. */
  searchCountries: PageParts['searchCountries']
}

export const page = defineFeature({
  name: 'page',
  about: { en: 'the page at `/`', ru: 'страница на `/`' },
  setup: ({ status, now }, { outages, figures, searchCountries }: PageFeatureParts) => ({
    routes: pageRoutes({
      status() {
        const { startedAtMs, counts } = figures()
        const { status: word, sinceMs } = status()
        const uptimeSeconds = Math.floor((now() - startedAtMs) / 1_000)
        return { status: word, since: new Date(sinceMs).toISOString(), ...counts, uptimeSeconds }
      },
      outages,
      searchCountries,
    }),
  }),
})
