// Which deliveries are done, and the last ones as they came. IF NOT EXISTS: such tables are older than the numbers.
export const deliveries = `
CREATE TABLE IF NOT EXISTS webhook_done (
  source TEXT NOT NULL, id TEXT NOT NULL, done_by TEXT NOT NULL, fingerprint TEXT NOT NULL,
  answer TEXT NOT NULL, done_at INTEGER NOT NULL,
  PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS webhook_done_at ON webhook_done (done_at);
CREATE TABLE IF NOT EXISTS webhook_deliveries (
  number INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, content_type TEXT,
  size_bytes INTEGER NOT NULL, body TEXT NOT NULL, received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS webhook_deliveries_of ON webhook_deliveries (source, number);`
