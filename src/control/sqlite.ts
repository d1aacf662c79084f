import { chmodSync, existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fail, ok, type Result } from '#lib';

/** A database with its schema up to date; `migrations` are SQL scripts, applied once each, in order. */
export type OpenDatabase = {
  /** A file, made with mode 0600 where it does not exist. */
  readonly path: string;
  readonly migrations: readonly string[];
};

// Nobody else should write here; waiting for somebody who does holds up the whole process.
const BUSY_TIMEOUT_MS = 1_000;

/**
 * Opens a SQLite database in WAL mode with `synchronous = FULL`: what a committed transaction wrote survives the
 * loss of power. Throws if the file cannot be opened, is no database, or comes from a newer version.
 */
export function openDatabase({ path, migrations }: OpenDatabase): DatabaseSync {
  const fresh = !existsSync(path);
  const db = new DatabaseSync(path, {
    timeout: BUSY_TIMEOUT_MS,
    enableForeignKeyConstraints: true,
  });
  try {
    if (fresh) chmodSync(path, 0o600);
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;');
    migrate(db, migrations);
    return db;
  } catch (error) {
    db.close();
    throw new Error(`cannot open the database \`${path}\`: ${messageOf(error)}`, { cause: error });
  }
}

/** Runs `work` in one transaction: all of it is on disk afterwards, or nothing and the error says why. */
export function transact<T>(db: DatabaseSync, work: () => T): Result<T, string> {
  try {
    db.exec('BEGIN IMMEDIATE');
  } catch (error) {
    return fail(messageOf(error));
  }
  try {
    const value = work();
    db.exec('COMMIT');
    return ok(value);
  } catch (error) {
    rollBack(db);
    return fail(messageOf(error));
  }
}

function migrate(db: DatabaseSync, migrations: readonly string[]): void {
  const row = db.prepare('PRAGMA user_version').get() as { user_version: number };
  const from = row.user_version;
  if (from > migrations.length) {
    throw new Error(`its schema version ${from} is newer than this program's ${migrations.length}`);
  }
  for (const [index, script] of migrations.entries()) {
    if (index < from) continue;
    const done = transact(db, () => {
      db.exec(script);
      db.exec(`PRAGMA user_version = ${index + 1}`);
    });
    if (!done.ok) throw new Error(`migration ${index + 1}: ${done.error}`);
  }
}

function rollBack(db: DatabaseSync): void {
  try {
    db.exec('ROLLBACK');
  } catch {
    // SQLite has already rolled back by itself, as it does when the disk is full.
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
