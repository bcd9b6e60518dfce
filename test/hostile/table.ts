// The figures of every attack, printed when its file of tests ends, as the rows of the table in
// docs/security-attacks.md.
import type { Tallies } from './visitors.ts'
import type { Silence } from './watch.ts'

export interface Row {
  readonly what: string
  /** What the attacker was answered. */
  readonly seen: Readonly<Record<string, number>>
  readonly silence: Silence
  /** Before, the most, and ten seconds after. */
  readonly mib: readonly number[]
  readonly tallies: Tallies
  readonly faults: readonly string[]
}

const rows: Row[] = []

export const addRow = (row: Row) => void rows.push(row)

const list = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([what, n]) => `${n} × ${what}`)
    .join(', ')

function line({ what, seen, silence, mib, tallies, faults }: Row): string {
  const seconds = (ms: number) => (ms / 1_000).toFixed(1)
  const served = Object.entries(tallies).map(([kind, tally]) => `${kind} ${tally.served}/${tally.asked}`)
  const cells = [
    what,
    faults.length > 0 ? faults.join('; ') : 'held',
    `${seconds(silence.longestMs)} (${seconds(silence.longestWallMs)})`,
    mib.map(Math.round).join(' → '),
    served.join(', '),
    list(seen),
  ]
  return `| ${cells.join(' | ')} |`
}

afterAll(() => {
  const head = [
    '| attack | result | /livez silent, s (by the wall clock) | MiB before, most, after | visitors served | answers to the attacker |',
    '|---|---|---|---|---|---|',
  ]
  process.stdout.write(`\n${[...head, ...rows.map(line)].join('\n')}\n`)
})
