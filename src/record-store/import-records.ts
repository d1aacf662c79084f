import { existsSync, renameSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { packLines } from '#telemetry';
import type { EmbeddedStore } from './embedded-store.ts';
import type { Report } from './record-store.ts';
import { isDamage, messageOf } from './transact.ts';

/** What became of an import so far. */
export type ImportStep =
  | { readonly kind: 'more' | 'done' }
  | { readonly kind: 'damaged'; readonly aside: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/**
 * Takes over the `records.db` of version 0.1, a step at a time, so that who asks in between waits for one step only.
 * The file goes when all of it is in the store; an import that was cut off begins again, and what came is known.
 */
export type RecordsImport = { readonly step: (nowMs: number) => ImportStep };

const STEP = 1_000;
const SUFFIXES = ['', '-wal', '-shm'] as const;

type OldRow = { readonly id: number; readonly node: string; readonly json: string };

/** The import of a file; undefined where there is none. */
export function openImport(path: string, store: EmbeddedStore): RecordsImport | undefined {
  if (!existsSync(path)) return undefined;
  let db: DatabaseSync | undefined;
  let last = 0;
  return {
    step(nowMs) {
      try {
        db ??= new DatabaseSync(path);
        const rows = db
          .prepare('SELECT id, node, json FROM records WHERE id > ? ORDER BY id LIMIT ?')
          .all(last, STEP) as unknown as readonly OldRow[];
        const added = store.add(reportsOf(rows), nowMs);
        if (!added.ok) return { kind: 'failed', reason: added.error };
        last = rows.at(-1)?.id ?? last;
        if (rows.length === STEP) return { kind: 'more' };
        db.close();
        for (const suffix of SUFFIXES) rmSync(path + suffix, { force: true });
        return { kind: 'done' };
      } catch (error) {
        db?.close();
        db = undefined;
        if (!isDamage(error)) return { kind: 'failed', reason: messageOf(error) };
        return { kind: 'damaged', aside: moveAside(path), reason: messageOf(error) };
      }
    },
  };
}

/** One report for each run of rows of the same node, in their order. */
function reportsOf(rows: readonly OldRow[]): readonly Report[] {
  const reports: { node: string; lines: string[] }[] = [];
  for (const { node, json } of rows) {
    let report = reports.at(-1);
    if (report?.node !== node) reports.push((report = { node, lines: [] }));
    report.lines.push(`${json}\n`);
  }
  // They were checked when they came, by the rules of then.
  return reports.map(({ node, lines }) => ({
    node,
    blocks: [packLines(Buffer.from(lines.join('')))],
    identity: undefined,
    accounts: [],
    isOurs: true,
  }));
}

function moveAside(path: string): string {
  const aside = `${path}.damaged-${Date.now()}`;
  for (const suffix of SUFFIXES)
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  return aside;
}
