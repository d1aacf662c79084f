import { hash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { Frontier, leafOfHash } from '#audit';
import {
  canonicalJson,
  type DsseEnvelope,
  encodeEnvelope,
  FIRST_PREVIOUS_HASH,
  hashOfLogEntry,
  LOG_HEAD_TYPE,
  type LogEntry,
  type LogFields,
  type LogHead,
  type PolicySigner,
  type SignedLogHead,
  signJson,
} from '#trust';
import { inTransaction } from './database.ts';

/** The hash-chained log of every certificate this authority issued. */
export type IssuanceLog = {
  /**
   * Resolves when the entry is on disk. Entries of one turn of the event loop share one transaction. Rejects, nothing
   * being logged, when the disk refuses; the certificate must not leave then.
   */
  readonly append: (fields: LogFields) => Promise<LogEntry>;
  /** As `append`, at once. */
  readonly appendNow: (fields: LogFields) => LogEntry;
  /** Up to `limit` entries after number `after`, oldest first. */
  readonly read: (after: number, limit: number) => LogEntry[];
  readonly head: () => LogHead;
  /** Root of the tree over all entries. */
  readonly root: () => string;
};

type Waiting = {
  readonly fields: LogFields;
  readonly resolve: (entry: LogEntry) => void;
  readonly reject: (error: unknown) => void;
};

/** Opens the log in an authority's database. */
export function openIssuanceLog(database: DatabaseSync): IssuanceLog {
  const last = database.prepare('SELECT number, hash FROM issuance ORDER BY number DESC LIMIT 1');
  const insert = database.prepare(
    'INSERT INTO issuance (number, hash, serial, entry) VALUES (?, ?, ?, ?)',
  );
  const select = database.prepare(
    'SELECT entry FROM issuance WHERE number > ? ORDER BY number LIMIT ?',
  );
  const tree = openTree(database);
  let waiting: Waiting[] = [];

  // Read from disk inside each transaction; remembered for those who only ask.
  let known: LogHead | undefined;
  const dataVersion = database.prepare('PRAGMA data_version');
  let knownVersion = 0;

  function head(): LogHead {
    const row = last.get();
    if (row === undefined) return { number: 0, hash: FIRST_PREVIOUS_HASH };
    return { number: Number(row['number']), hash: String(row['hash']) };
  }

  // The head is read inside the transaction: whoever else writes this file cannot fork the chain.
  function appendAll(batch: readonly LogFields[]): LogEntry[] {
    known = undefined;
    return inTransaction(database, () => {
      let previous = head();
      const grown = tree.at(previous.number);
      const entries = batch.map((fields) => {
        const body = { ...fields, number: previous.number + 1, previousHash: previous.hash };
        const entry: LogEntry = { ...body, hash: hashOfLogEntry(body) };
        insert.run(entry.number, entry.hash, entry.serial, canonicalJson(entry));
        grown.push(leafOfHash(entry.hash));
        previous = entry;
        return entry;
      });
      tree.keep(grown);
      return entries;
    });
  }

  function flush(): void {
    const batch = waiting;
    waiting = [];
    try {
      const entries = appendAll(batch.map(({ fields }) => fields));
      for (const [i, { resolve, reject }] of batch.entries()) {
        const entry = entries[i];
        if (entry === undefined) reject(new Error('the log lost an entry'));
        else resolve(entry);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  return {
    append(fields) {
      return new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push({ fields, resolve, reject });
      });
    },
    appendNow(fields) {
      const [entry] = appendAll([fields]);
      if (entry === undefined) throw new Error('the log lost an entry');
      return entry;
    },
    read(after, limit) {
      return select.all(after, limit).map((row) => JSON.parse(String(row['entry'])) as LogEntry);
    },
    head() {
      // An operator's `ca sign-csr` writes from another process.
      const version = Number(dataVersion.get()?.['data_version']);
      if (version !== knownVersion) known = undefined;
      knownVersion = version;
      known ??= head();
      return known;
    },
    root: () => tree.at(head().number).root(),
  };
}

/**
 * The tree of RFC 6962 over the entries, in whose leaves their hashes are. It is kept beside them, in the same transaction,
 * so that no start has to read the whole log; where it is behind (an earlier version wrote the log) it catches up.
 */
function openTree(database: DatabaseSync): {
  readonly at: (size: number) => Frontier;
  readonly keep: (frontier: Frontier) => void;
} {
  const load = database.prepare('SELECT size, frontier FROM issuance_tree');
  const save = database.prepare(
    'INSERT OR REPLACE INTO issuance_tree (id, size, frontier) VALUES (1, ?, ?)',
  );
  const after = database.prepare(
    'SELECT hash FROM issuance WHERE number > ? AND number <= ? ORDER BY number',
  );
  return {
    at(size) {
      const row = load.get();
      const kept = row === undefined ? 0 : Number(row['size']);
      const isUsable = row !== undefined && kept <= size;
      const frontier = isUsable
        ? new Frontier(kept, JSON.parse(String(row['frontier'])) as string[])
        : new Frontier();
      for (const next of after.iterate(frontier.size, size)) {
        frontier.push(leafOfHash(String(next['hash'])));
      }
      return frontier;
    },
    keep: (frontier) => void save.run(frontier.size, JSON.stringify(frontier.hashes())),
  };
}

/** The log's head, signed with the log key, for whoever wants to hold the authority to it later. */
export function signLogHead(
  head: LogHead & { readonly root: string },
  options: { readonly trustDomain: string; readonly nowMs: number; readonly signer: PolicySigner },
): DsseEnvelope {
  const { number, hash, root } = head;
  const time = new Date(options.nowMs).toISOString();
  const value: SignedLogHead = { trustDomain: options.trustDomain, number, hash, root, time };
  return signJson(LOG_HEAD_TYPE, value, options.signer);
}

/** The signed head of now, encoded; signed once for all who ask while it stays the head. */
export function createSignedHead(
  log: Pick<IssuanceLog, 'head' | 'root'>,
  options: {
    readonly trustDomain: string;
    readonly clock: () => number;
    readonly signer: PolicySigner;
  },
): () => Uint8Array {
  let signed: { readonly hash: string; readonly bytes: Uint8Array } | undefined;
  return () => {
    const head = log.head();
    if (signed?.hash !== head.hash) {
      const tip = { ...head, root: log.root() };
      const envelope = signLogHead(tip, { ...options, nowMs: options.clock() });
      signed = { hash: head.hash, bytes: encodeEnvelope(envelope) };
    }
    return signed.bytes;
  };
}

/** SHA-256 of a certificate's DER, lower-case hex, as the log names it. */
export function certificateDigest(der: Uint8Array): string {
  return hash('sha256', der, 'hex');
}
