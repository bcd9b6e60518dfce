// The contracts of the SQL databases that features read from, and keep their own records in.

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>

export interface Sql {
  /** All rows of one query; `?` stand for the parameters. */
  all(query: string, ...parameters: SqlValue[]): Promise<readonly Row[]>
}

/** Statements that wait for one commit: all of them or none. `all` reads what is committed now. */
export interface Transaction extends Sql {
  run(statement: string, ...parameters: SqlValue[]): void
}

/**
 * A database of our own records. Rejects with `records_unavailable` while it cannot be used, before any work is done
 * for nothing; what a statement itself does wrong is passed on.
 */
export interface Records extends Sql {
  /** Does the work, then commits what it has queued; it holds nothing open meanwhile, and nothing is kept if it rejects. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
}
