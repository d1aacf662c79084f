import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

// Each step is applied once and never edited afterwards; a change of the schema is one step more.
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE issuance (
     number INTEGER PRIMARY KEY,
     hash TEXT NOT NULL,
     serial TEXT NOT NULL UNIQUE,
     entry TEXT NOT NULL
   ) STRICT;
   CREATE TABLE policy_set (
     namespace TEXT PRIMARY KEY,
     number INTEGER NOT NULL,
     set_json TEXT NOT NULL
   ) STRICT;
   CREATE TABLE trust_root (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     version INTEGER NOT NULL,
     envelope TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE host (
     agent TEXT PRIMARY KEY,
     attestor TEXT NOT NULL,
     strength TEXT NOT NULL,
     selectors TEXT NOT NULL,
     serial TEXT NOT NULL,
     attested_at INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE spent_token (
     id TEXT PRIMARY KEY,
     expires_at INTEGER NOT NULL
   ) STRICT;`,
  `CREATE TABLE issuance_tree (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     size INTEGER NOT NULL,
     frontier TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE noted_token (
     id TEXT PRIMARY KEY,
     host TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     noted_at INTEGER NOT NULL
   ) STRICT;`,
  `CREATE TABLE own_clock (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     at INTEGER NOT NULL
   ) STRICT;`,
];

/** Opens the authority's database with mode 0600, bringing its schema up to date. Throws if a later version made it. */
export function openDatabase(path: string): DatabaseSync {
  // SQLite gives its WAL the mode of the database, so the file must have it before SQLite sees it.
  if (path !== ':memory:') {
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
  }
  const database = new DatabaseSync(path, { timeout: 5000 });
  // INVARIANT: what is committed survives a crash of the machine, so a certificate that left is in the log.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  migrate(database);
  return database;
}

/** Runs `work` in one transaction; whatever it throws undoes all of it. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function migrate(database: DatabaseSync): void {
  inTransaction(database, () => {
    const row = database.prepare('PRAGMA user_version').get();
    const version = Number(row?.['user_version'] ?? 0);
    if (version > MIGRATIONS.length) {
      throw new Error(`the database is of a later version of this program (schema ${version})`);
    }
    for (const step of MIGRATIONS.slice(version)) database.exec(step);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  });
}
