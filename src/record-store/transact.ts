import type { DatabaseSync } from 'node:sqlite';
import { fail, ok, type Result } from '#lib';

/** Why a transaction did not happen; `damaged`: the file is not what was written. */
export type WriteFailure = { readonly message: string; readonly damaged: boolean };

/** Runs `work` in one transaction: all of it is on disk afterwards, or nothing and the error says why. */
export function transact<T>(db: DatabaseSync, work: () => T): Result<T, WriteFailure> {
  try {
    db.exec('BEGIN IMMEDIATE');
  } catch (error) {
    return fail(failureOf(error));
  }
  try {
    const value = work();
    db.exec('COMMIT');
    return ok(value);
  } catch (error) {
    try {
      db.exec('ROLLBACK');
    } catch {
      // SQLite has already rolled back by itself, as it does when the disk is full.
    }
    return fail(failureOf(error));
  }
}

function failureOf(error: unknown): WriteFailure {
  return { message: messageOf(error), damaged: isDamage(error) };
}

// SQLITE_CORRUPT and SQLITE_NOTADB, with whatever detail in the higher bits.
const DAMAGE: ReadonlySet<number> = new Set([11, 26]);

/** Whether a failure means that a file is damaged, not that it cannot be reached. */
export function isDamage(error: unknown): boolean {
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  return code === 'damaged_block' || (typeof errcode === 'number' && DAMAGE.has(errcode & 0xff));
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
