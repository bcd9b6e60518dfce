// What a benchmark is, and how its table looks: Markdown, so that it can be put into docs/performance.md as it is.
import type { Processes } from './processes.ts'

export interface Report {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Which figures hold on other machines, and how they were come by. */
  readonly note: string
}

export interface Benchmark {
  /** One line for the help. */
  readonly summary: string
  /** Measures; whatever it starts through `processes` ends with it. */
  run(processes: Processes): Promise<Report[]>
}

export function formatReport({ title, columns, rows, note }: Report): string {
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  // The first column holds words, the others figures.
  const padded = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return `\n### ${title}\n\n${[columns, ...rows].map(padded).toSpliced(1, 0, rule).map(line).join('')}\n${note}\n`
}

/** 1234567 → "1.23 M", 12345 → "12.3 k". */
export function formatCount(value: number): string {
  if (value >= 1e6) return `${significant(value / 1e6)} M`
  return value >= 1e3 ? `${significant(value / 1e3)} k` : significant(value)
}

export function formatMs(ms: number): string {
  if (ms >= 1_000) return `${significant(ms / 1_000)} s`
  return ms >= 1 ? `${significant(ms)} ms` : `${significant(ms * 1_000)} µs`
}

function significant(value: number): string {
  const rounded = Number(value.toPrecision(3))
  if (rounded >= 100) return String(Math.round(rounded))
  return rounded.toFixed(rounded >= 10 ? 1 : 2)
}
