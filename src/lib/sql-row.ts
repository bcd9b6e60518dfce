// What a SQL database of ours answers with: the values that SQLite and PostgreSQL share.

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>
