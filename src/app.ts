// The features, and what each is passed of the others: read it top to bottom. A feature comes after those it needs.
import { alerts } from './features/alerts/feature.ts'
import { cacheAdmin } from './features/cache-admin/feature.ts'
import { calls } from './features/calls/feature.ts'
import { health } from './features/health/feature.ts'
import { jobs } from './features/jobs/feature.ts'
import { limits } from './features/limits/feature.ts'
import { markets } from './features/markets/feature.ts'
import { outages } from './features/outages/feature.ts'
import { page } from './features/page/feature.ts'
import { reference } from './features/reference/feature.ts'
import { sessions } from './features/sessions/feature.ts'
import { webhooks } from './features/webhooks/feature.ts'
import { type Installed, install } from './host/wiring.ts'

export const features: readonly Installed[] = [
  install(health, ({ core }) => ({
    phase: core.phase,
    mayChange: core.changes.isOpen,
    fileAlerts: core.fileAlerts,
  })),
  limits,
  sessions,
  install(webhooks, ({ schemes, variable }) => ({ schemes, variable })),
  install(reference, ({ core }) => ({ openDatabase: core.openReference })),
  markets,
  install(alerts, ({ needed }) => {
    const { freshPrices: pricesOf, unpriced: unpricedOf, currencies, addSection } = needed(markets)
    return { pricesOf, unpricedOf, currencies, addSection, botToken: needed(sessions).botToken }
  }),
  install(cacheAdmin, ({ core }) => ({ figures: core.figures, countEntries: core.countKeys })),
  install(jobs, ({ core }) => ({ boardAt: core.jobBoard, deadLetters: core.deadLetters })),
  install(calls, ({ of }) => ({ hasLogin: of(sessions)?.hasLogin ?? false })),
  install(outages, ({ core }) => ({ outages: core.outages })),
  install(page, ({ core, of }) => ({
    outages: () => core.outages().filter(({ file }) => file === undefined),
    figures: core.figures,
    searchCountries: of(reference)?.search,
  })),
]
