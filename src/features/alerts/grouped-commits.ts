// Small commits that come at the same time, as one: each costs a wait for the disk, and all of them share it.

import type { SqlValue } from '../../lib/sql-row.ts'
import type { Records } from '../../sql/sql.ts'

export type Statement = readonly [text: string, ...parameters: SqlValue[]]

/** Resolves when the statements are committed, in the order of the calls; they succeed and fail together with others. */
export type Commit = (...statements: Statement[]) => Promise<void>

interface Waiting {
  readonly statements: readonly Statement[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export function createGroupedCommits(records: Pick<Records, 'transaction'>): Commit {
  let waiting: Waiting[] = []

  async function flush(): Promise<void> {
    const group = waiting
    waiting = []
    try {
      await records.transaction(async (tx) => {
        for (const { statements } of group) for (const statement of statements) tx.run(...statement)
      })
      for (const { resolve } of group) resolve()
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  return (...statements) =>
    new Promise((resolve, reject) => {
      waiting.push({ statements, resolve, reject })
      // After all that the event loop has at hand now.
      if (waiting.length === 1) setImmediate(() => void flush())
    })
}
