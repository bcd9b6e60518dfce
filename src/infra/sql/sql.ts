// The contract of a SQL database that features read from.

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>

export interface Sql {
  /** All rows of one query; `?` stand for the parameters. */
  all(query: string, ...parameters: SqlValue[]): Promise<readonly Row[]>
}
