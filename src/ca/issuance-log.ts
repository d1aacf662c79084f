import { hash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { canonicalJson, type DsseEnvelope, type PolicySigner, signJson } from '#trust';
import { inTransaction } from './database.ts';
import { FIRST_PREVIOUS_HASH, hashOf, type LogEntry, type LogFields } from './log-entry.ts';

/** The last entry's number and hash; number 0 and the first previous hash while the log is empty. */
export type LogHead = { readonly number: number; readonly hash: string };

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
};

/** What a signed head says. */
export type SignedLogHead = LogHead & { readonly trustDomain: string; readonly time: string };

/** DSSE's payload type of a head of the issuance log. */
export const LOG_HEAD_TYPE = 'application/vnd.palisade.issuance-head+json';

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
  let waiting: Waiting[] = [];

  function head(): LogHead {
    const row = last.get();
    if (row === undefined) return { number: 0, hash: FIRST_PREVIOUS_HASH };
    return { number: Number(row['number']), hash: String(row['hash']) };
  }

  // The head is read inside the transaction: whoever else writes this file cannot fork the chain.
  function appendAll(batch: readonly LogFields[]): LogEntry[] {
    return inTransaction(database, () => {
      let previous = head();
      return batch.map((fields) => {
        const body = { ...fields, number: previous.number + 1, previousHash: previous.hash };
        const entry: LogEntry = { ...body, hash: hashOf(body) };
        insert.run(entry.number, entry.hash, entry.serial, canonicalJson(entry));
        previous = entry;
        return entry;
      });
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
    head,
  };
}

/** The log's head, signed with the log key, for whoever wants to hold the authority to it later. */
export function signLogHead(
  head: LogHead,
  options: { readonly trustDomain: string; readonly nowMs: number; readonly signer: PolicySigner },
): DsseEnvelope {
  const { number, hash } = head;
  const time = new Date(options.nowMs).toISOString();
  const value: SignedLogHead = { trustDomain: options.trustDomain, number, hash, time };
  return signJson(LOG_HEAD_TYPE, value, options.signer);
}

/** SHA-256 of a certificate's DER, lower-case hex, as the log names it. */
export function certificateDigest(der: Uint8Array): string {
  return hash('sha256', der, 'hex');
}
