// Before anything is opened: are the steps of all features' tables SQL at all? At their first use it would be too late.
import { InvalidEnvironment } from '../config.ts'
import { refusalOf } from '../core/sqlite.ts'
import type { Installed } from './wiring.ts'

/** In the order in which they are applied, in an empty database in memory. @throws InvalidEnvironment */
export function tryMigrations(features: readonly Installed[]): void {
  const steps = features.flatMap(({ name, migrations = [] }) =>
    migrations.map((text, i) => ({ name, number: i + 1, text })),
  )
  const refused = refusalOf(steps.map(({ text }) => text))
  const step = refused && steps[refused.at]
  if (step)
    throw new InvalidEnvironment([
      `migrations of the feature ${step.name}: step ${step.number} is no SQL that SQLite knows: ${refused.message}`,
    ])
}
