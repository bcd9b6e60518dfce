// A transaction that only notes its statements, so that no database holds anything open while its work waits.

import type { SqlValue } from '../lib/sql-row.ts'
import type { Sql, Transaction } from './sql.ts'

export type Statement = readonly [text: string, parameters: readonly SqlValue[]]

/** Does the work and resolves with its answer and what it queued; a statement that comes later is a bug, and throws. */
export async function queueStatements<T>(
  all: Sql['all'],
  work: (tx: Transaction) => Promise<T>,
): Promise<{ answer: T; statements: readonly Statement[] }> {
  const statements: Statement[] = []
  let isOver = false
  const tx: Transaction = {
    all,
    run(text, ...parameters) {
      if (isOver) throw new TypeError('a statement came after its transaction had ended')
      statements.push([text, parameters])
    },
  }
  try {
    return { answer: await work(tx), statements }
  } finally {
    isOver = true
  }
}
