import type { DatabaseSync } from 'node:sqlite';
import { Frontier, leafOfHash } from '#audit';
import { FIRST_PREVIOUS_HASH, type LogHead } from '#trust';

/** The issuance log's end: its last entry, and the tree of RFC 6962 over all entries, in whose leaves their hashes are. */
export type Tip = { readonly head: LogHead; readonly tree: Frontier };

/** The end of the log in a database. */
export type TipSource = {
  /** The end now; nobody may change its tree. */
  readonly now: () => Tip;
  /** Writes what lets the next start find this end soon; within the transaction that grows the log. */
  readonly keep: (tip: Tip) => void;
  /** What a transaction of ours has grown the log to, once it is committed. */
  readonly committed: (tip: Tip) => void;
};

// What a start reads of the log at most, a few ms; each time it is kept costs every entry of that turn a page on disk.
const KEPT_EVERY = 256;

/**
 * Opens the end of the log, in memory for as long as nobody else writes the file: an operator's `ca sign-csr` does so from
 * a process of its own. The tree on disk may be behind the log, also where an earlier version wrote it; then it catches up.
 */
export function openTip(database: DatabaseSync): TipSource {
  const last = database.prepare('SELECT number, hash FROM issuance ORDER BY number DESC LIMIT 1');
  const load = database.prepare('SELECT size, frontier FROM issuance_tree');
  const save = database.prepare(
    'INSERT OR REPLACE INTO issuance_tree (id, size, frontier) VALUES (1, ?, ?)',
  );
  const after = database.prepare(
    'SELECT hash FROM issuance WHERE number > ? AND number <= ? ORDER BY number',
  );
  // Differs after each commit of another connection, and of no other (sqlite.org/pragma.html#pragma_data_version).
  const dataVersion = database.prepare('PRAGMA data_version');
  let known: Tip | undefined;
  let knownVersion = 0;
  let keptSize = 0;

  function readHead(): LogHead {
    const row = last.get();
    if (row === undefined) return { number: 0, hash: FIRST_PREVIOUS_HASH };
    return { number: Number(row['number']), hash: String(row['hash']) };
  }

  function readTree(size: number): Frontier {
    const row = load.get();
    const kept = row === undefined ? 0 : Number(row['size']);
    const isUsable = row !== undefined && kept <= size;
    const tree = isUsable
      ? new Frontier(kept, JSON.parse(String(row['frontier'])) as string[])
      : new Frontier();
    keptSize = tree.size;
    for (const next of after.iterate(tree.size, size)) tree.push(leafOfHash(String(next['hash'])));
    return tree;
  }

  return {
    now() {
      const version = Number(dataVersion.get()?.['data_version']);
      if (version !== knownVersion) known = undefined;
      knownVersion = version;
      if (known === undefined) {
        const head = readHead();
        known = { head, tree: readTree(head.number) };
      }
      return known;
    },
    keep({ tree }) {
      if (tree.size < keptSize + KEPT_EVERY) return;
      save.run(tree.size, JSON.stringify(tree.hashes()));
      keptSize = tree.size;
    },
    committed(tip) {
      known = tip;
    },
  };
}
