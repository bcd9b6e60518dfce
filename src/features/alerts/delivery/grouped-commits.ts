// Small commits of the same moment, as one: each commit waits for the disk, and all in a group share that wait.
import type { SqlValue } from '../../../lib/sql-row.ts'
import type { Records } from '../../../sql/sql.ts'

export type Statement = readonly [text: string, ...parameters: SqlValue[]]

/** Resolves when the statements are committed, in the order of the calls; a group succeeds or fails as a whole. */
export type Commit = (...statements: Statement[]) => Promise<void>

interface Waiting {
  readonly statements: readonly Statement[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const GROUP_MS = 10

export function createGroupedCommits(records: Pick<Records, 'transaction'>): Commit {
  let waiting: Waiting[] = []

  /** Never rejects. */
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
      if (waiting.length === 1) setTimeout(flush, GROUP_MS)
    })
}
