// Alerts with their watches, what concerns a user as a whole, and the outbox: crossings, and one delivery for each way.
// `decided_by` names the evaluation that made the last change (commit-evaluations.ts).
export const alerts = `
CREATE TABLE alert_users (
  user_id TEXT PRIMARY KEY, webhook_url TEXT, webhook_secret TEXT, changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE alerts (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, language TEXT NOT NULL, coin TEXT NOT NULL, vs TEXT NOT NULL, direction TEXT NOT NULL,
  value REAL NOT NULL, repeats TEXT NOT NULL, cooldown_ms INTEGER NOT NULL, expires_at INTEGER, notify TEXT NOT NULL,
  status TEXT NOT NULL, armed INTEGER, reference_price REAL, rang_at INTEGER, rings INTEGER NOT NULL,
  version INTEGER NOT NULL, decided_by TEXT, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_of ON alerts (user_id, created_at);
CREATE INDEX alerts_open ON alerts (status, vs);
CREATE TABLE alert_crossings (
  id TEXT PRIMARY KEY, alert_id TEXT NOT NULL, user_id TEXT NOT NULL, language TEXT NOT NULL, payload TEXT NOT NULL, decided_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_crossings_of ON alert_crossings (user_id, decided_at);
CREATE INDEX alert_crossings_at ON alert_crossings (decided_at);
CREATE TABLE alert_deliveries (
  crossing_id TEXT NOT NULL, way TEXT NOT NULL, tries INTEGER NOT NULL, not_before INTEGER NOT NULL,
  lease_by TEXT NOT NULL, lease_until INTEGER NOT NULL, ended_at INTEGER, outcome TEXT,
  PRIMARY KEY (crossing_id, way)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_deliveries_open ON alert_deliveries (not_before) WHERE ended_at IS NULL;`
