// What a run has found, as tables for docs/reliability.md, and as a list of what was wrong.
import { formatMs, formatReport } from '../report.ts'
import { quantile } from '../statistics.ts'
import type { Outcomes } from './caller.ts'
import { groupBy } from './groups.ts'
import type { Growth } from './growth.ts'
import type { Kind, Ledger, Violation } from './ledger.ts'

export interface DoneFault {
  readonly atMs: number
  readonly name: string
  readonly words: string
  readonly tookMs: number
}

export interface Found {
  readonly title: string
  readonly startedAtMs: number
  readonly ledger: Ledger
  readonly outcomes: Outcomes
  /** Outside of gaps, ms. */
  readonly tookMs: ReadonlyMap<string, number[]>
  readonly faults: readonly DoneFault[]
  readonly growth: Growth | undefined
}

const EXAMPLES = 10

export function formatSummary(found: Found): string {
  const { ledger, faults, title } = found
  return [
    `\n## ${title}\n`,
    formatReport({
      title: 'Faults',
      columns: ['fault', 'times', 'at, min'],
      rows: [...groupBy(faults, ({ name }) => name)].map(([name, times]) => [
        name,
        String(times.length),
        times.map(({ atMs }) => minutes(found, atMs)).join(' '),
      ]),
      note: 'Minutes since the start.',
    }),
    formatReport({
      title: 'Calls',
      columns: ['call', 'answered', 'by status', 'median', '99 %', 'slowest'],
      rows: [...callRows(found)],
      note: 'Times are those outside of gaps: a stop, a kill or a pause of the container, a kill of the app, a redeploy.',
    }),
    ledgerWords(ledger),
    growthWords(found.growth),
    violationWords(found),
  ].join('\n')
}

/** One line for each fault, in order: the ledger of faults. */
export const faultLine = (startedAtMs: number, { atMs, name, words, tookMs }: DoneFault) =>
  `${((atMs - startedAtMs) / 60_000).toFixed(1).padStart(5)} min  ${name}${words && `, ${words}`} (${formatMs(tookMs)})`

function* callRows({ outcomes, tookMs }: Found): Generator<string[]> {
  const names = new Set([...outcomes.keys(), ...tookMs.keys()])
  for (const name of names) {
    const counts = [...(outcomes.get(name) ?? [])].sort((a, b) => b[1] - a[1])
    const times = tookMs.get(name) ?? []
    const at = (share: number) => (times.length > 0 ? formatMs(quantile(times, share)) : '')
    const byStatus = counts.map(([outcome, count]) => `${count} × ${outcome}`).join(', ')
    yield [name, String(times.length), byStatus, at(0.5), at(0.99), at(1)]
  }
}

function ledgerWords({ people, deliveries, limits, clears }: Ledger): string {
  const states = people.flatMap(({ logins }) => logins.map(({ state }) => state))
  const alerts = people.flatMap((person) => [...person.alerts.values()])
  const number = (all: readonly string[], state: string) => all.filter((one) => one === state).length
  const acknowledged = [...deliveries.values()].filter(({ isAcknowledged }) => isAcknowledged).length
  return [
    `Ledger: ${states.length} logins (${number(states, 'in')} in, ${number(states, 'out')} out, ` +
      `${number(states, 'leaving')} in doubt), ${acknowledged} of ${deliveries.size} deliveries acknowledged,`,
    `${alerts.length} alerts (${number(alerts, 'there')} there, ${number(alerts, 'gone')} deleted), ` +
      `${limits.size} limits with ${[...limits.values()].reduce((sum, { hits }) => sum + hits.length, 0)} hits, ` +
      `${clears.acknowledged} clears.`,
  ].join('\n')
}

function growthWords(growth: Growth | undefined): string {
  if (!growth) return 'Memory and descriptors: no life of the app was long enough to be judged.'
  const { lifeMs, judgedMs, rssMib, descriptors } = growth
  const slope = ({ perHour, error }: { perHour: number; error: number }) =>
    `${perHour.toFixed(1)} ± ${error.toFixed(1)}`
  return (
    `Memory and descriptors, of the last ${formatMs(judgedMs)} of a life of ${formatMs(lifeMs)}: ` +
    `${slope(rssMib)} MiB an hour, ${slope(descriptors)} descriptors an hour.`
  )
}

function violationWords(found: Found): string {
  const { violations } = found.ledger
  if (violations.length === 0) return '\nNothing was wrong.\n'
  const kinds = groupBy(violations, ({ kind }) => kind)
  const list = [...kinds].map(([kind, some]: [Kind, Violation[]]) => {
    const shown = some
      .slice(0, EXAMPLES)
      .map(({ words, atMs, after }) => `    ${minutes(found, atMs)} min  ${words}  [${after}]`)
    const more = some.length > EXAMPLES ? [`    and ${some.length - EXAMPLES} more`] : []
    return [`  ${kind}: ${some.length}`, ...shown, ...more].join('\n')
  })
  return `\nWRONG: ${violations.length}\n${list.join('\n')}\n`
}

const minutes = ({ startedAtMs }: Found, atMs: number) => ((atMs - startedAtMs) / 60_000).toFixed(1)
