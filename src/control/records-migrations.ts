/** The schema of records.db, one script a version. `json` is the record as its enforcement point wrote it. */
export const RECORDS_MIGRATIONS: readonly string[] = [
  `CREATE TABLE records (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     node TEXT NOT NULL,
     seq INTEGER NOT NULL,
     time_ms INTEGER NOT NULL,
     verdict TEXT NOT NULL,
     reporter TEXT NOT NULL,
     denial_id TEXT,
     source_id TEXT,
     source_service TEXT,
     namespace TEXT,
     service TEXT,
     policy TEXT,
     rule TEXT,
     reason TEXT,
     json TEXT NOT NULL,
     UNIQUE (node, seq, time_ms)
   ) STRICT;
   CREATE INDEX records_by_time ON records (time_ms);
   CREATE INDEX denials_by_id ON records (denial_id) WHERE denial_id IS NOT NULL;
   CREATE INDEX denials_by_time ON records (time_ms) WHERE verdict = 'deny';`,
];
