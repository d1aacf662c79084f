/**
 * The schema of records.db, one script a version. `json` is the record as its enforcement point wrote it. `arrivals`
 * says which id was the first of each minute, so that a question about a time is one about ids; `tallies` count what
 * is alike in slots of five minutes, so that counting does not read the records.
 */
export const RECORDS_MIGRATIONS: readonly string[] = [
  `CREATE TABLE records (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     node TEXT NOT NULL,
     seq INTEGER NOT NULL,
     time_ms INTEGER NOT NULL,
     verdict TEXT NOT NULL,
     denial_id TEXT,
     source_id TEXT,
     source_service TEXT,
     namespace TEXT,
     service TEXT,
     json TEXT NOT NULL,
     UNIQUE (node, seq, time_ms)
   ) STRICT;
   CREATE INDEX records_by_source_id ON records (source_id);
   CREATE INDEX records_by_source ON records (source_service);
   CREATE INDEX records_by_service ON records (service);
   CREATE INDEX denials_by_id ON records (denial_id) WHERE denial_id IS NOT NULL;
   CREATE INDEX denials ON records (verdict) WHERE verdict = 'deny';
   CREATE TABLE arrivals (minute INTEGER PRIMARY KEY, first_id INTEGER NOT NULL) STRICT;
   CREATE TABLE tallies (
     kind TEXT NOT NULL,
     slot INTEGER NOT NULL,
     key TEXT NOT NULL,
     count INTEGER NOT NULL,
     first_ms INTEGER NOT NULL,
     last_ms INTEGER NOT NULL,
     sample_id INTEGER NOT NULL,
     PRIMARY KEY (kind, slot, key)
   ) STRICT, WITHOUT ROWID;`,
];
