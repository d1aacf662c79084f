import { hash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { leafOfHash } from '#audit';
import {
  type DsseEnvelope,
  encodeEnvelope,
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
import { openTip } from './issuance-tip.ts';

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
  const insert = database.prepare(
    'INSERT INTO issuance (number, hash, serial, entry) VALUES (?, ?, ?, ?)',
  );
  const select = database.prepare(
    'SELECT entry FROM issuance WHERE number > ? ORDER BY number LIMIT ?',
  );
  const tip = openTip(database);
  let waiting: Waiting[] = [];

  function appendAll(batch: readonly LogFields[]): LogEntry[] {
    const { entries, grown } = inTransaction(database, () => {
      // INVARIANT: asked within the transaction: whoever else writes this file cannot fork the chain.
      const { head, tree: before } = tip.now();
      const tree = before.copy();
      let previous = head;
      const written = batch.map((fields) => {
        const body = { ...fields, number: previous.number + 1, previousHash: previous.hash };
        const entry: LogEntry = { ...body, hash: hashOfLogEntry(body) };
        insert.run(entry.number, entry.hash, entry.serial, JSON.stringify(entry));
        tree.push(leafOfHash(entry.hash));
        previous = entry;
        return entry;
      });
      const { number, hash: lastHash } = previous;
      const after = { head: { number, hash: lastHash }, tree };
      tip.keep(after);
      return { entries: written, grown: after };
    });
    tip.committed(grown);
    return entries;
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
    head: () => tip.now().head,
    root: () => tip.now().tree.root(),
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
