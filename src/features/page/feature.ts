// The page at /: how the app is doing, and its countries.
import { z } from 'zod'
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
  variables: {
    HOME_PAGE: {
      schema: z
        .string()
        .regex(
          /^(ours|own|\/[^/\s]\S*|https?:\/\/\S+)$/,
          'must be ours, own, a path such as /notes, or an address such as https://example.com',
        )
        .default('ours'),
      en:
        'what is at `/`: `ours`, the status page; `own`, a page of [your own feature](docs/make-it-yours.md); a path ' +
        'or an address, where visitors are sent. Unless it is `ours`, the status page is at `/status`',
      ru:
        'что находится на `/`: `ours` — страница состояния, `own` — страница ' +
        '[вашей функции](docs/ru/make-it-yours.md), путь или адрес — туда отправляют посетителей. Если не `ours`, ' +
        'страница состояния — на `/status`',
    },
  },
  setup: ({ config, status, now }, { outages, figures, searchCountries }: PageFeatureParts) => ({
    ...(config.HOME_PAGE !== 'ours' && { links: [{ path: '/status', en: 'Status', ru: 'Состояние' }] }),
    routes: pageRoutes({
      home: config.HOME_PAGE,
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
