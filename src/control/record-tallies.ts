import type { DatabaseSync } from 'node:sqlite';
import type { AccessRecord } from '#telemetry';

/** Denials that are alike, with one of them. Times in ms since 1970. */
export type DenialTally = {
  readonly sourceId: string | null;
  readonly sourceService: string | null;
  readonly namespace: string;
  readonly service: string;
  readonly policy: string | null;
  readonly rule: string | null;
  readonly reason: string | null;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The newest of them. */
  readonly sampleId: number;
};

/** How often one rule decided. */
export type RuleTally = {
  readonly policy: string;
  readonly rule: string | null;
  readonly verdict: 'allow' | 'deny';
  readonly count: number;
  readonly lastMs: number;
};

/** Calls of one caller that a policy in dry-run would have decided otherwise than it was, or the same. */
export type TrialTally = {
  readonly policy: string;
  readonly sourceId: string | null;
  readonly sourceService: string | null;
  readonly namespace: string;
  readonly service: string;
  /** What was enforced, and what it would have been with the policy switched on. */
  readonly verdict: 'allow' | 'deny';
  readonly would: 'allow' | 'deny';
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The newest of them. */
  readonly sampleId: number;
};

/** Calls without mutual TLS from one address to one port of a service. Times in ms since 1970. */
export type PlaintextTally = {
  readonly sourceIp: string | null;
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly verdict: 'allow' | 'deny';
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
};

/** Counts of records that are alike, exact but for the first five minutes of a question. */
export type RecordTallies = {
  /** Counts records by their new ids; to be called in the transaction that stores them. */
  readonly count: (records: ReadonlyMap<number, AccessRecord>) => void;
  /** The latest first, since about `sinceMs`. */
  readonly denials: (sinceMs: number, limit: number) => readonly DenialTally[];
  readonly hits: (sinceMs: number) => readonly RuleTally[];
  readonly trials: (sinceMs: number, limit: number) => readonly TrialTally[];
  /** The latest first, since about `sinceMs`. */
  readonly plaintext: (sinceMs: number, limit: number) => readonly PlaintextTally[];
  readonly countDenied: (sinceMs: number) => number;
  readonly forgetBefore: (ms: number) => void;
};

type Kind = 'denial' | 'hit' | 'trial' | 'plaintext';

type Tally = {
  readonly kind: Kind;
  readonly slot: number;
  readonly key: string;
  count: number;
  firstMs: number;
  lastMs: number;
  sampleId: number;
};

type Row = Pick<Tally, 'key' | 'count' | 'firstMs' | 'lastMs' | 'sampleId'>;

const SLOT_MS = 5 * 60_000;

/** Opens the tallies of a records database. */
export function openTallies(db: DatabaseSync): RecordTallies {
  const upsert = db.prepare(
    `INSERT INTO tallies (kind, slot, key, count, first_ms, last_ms, sample_id) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET count = count + excluded.count, first_ms = min(first_ms, excluded.first_ms),
       last_ms = max(last_ms, excluded.last_ms), sample_id = max(sample_id, excluded.sample_id)`,
  );
  const select = db.prepare(
    `SELECT key, sum(count) AS count, min(first_ms) AS firstMs, max(last_ms) AS lastMs, max(sample_id) AS sampleId
     FROM tallies WHERE kind = ? AND slot >= ? GROUP BY key ORDER BY lastMs DESC, sampleId DESC LIMIT ?`,
  );
  const total = db.prepare(
    'SELECT ifnull(sum(count), 0) AS count FROM tallies WHERE kind = ? AND slot >= ?',
  );
  const forget = db.prepare('DELETE FROM tallies WHERE slot < ?');
  const read = (kind: Kind, sinceMs: number, limit: number) =>
    select.all(kind, slotOf(sinceMs), limit) as unknown as readonly Row[];
  return {
    count(records) {
      for (const tally of tallyUp(records)) {
        const { kind, slot, key, count, firstMs, lastMs, sampleId } = tally;
        upsert.run(kind, slot, key, count, firstMs, lastMs, sampleId);
      }
    },
    denials: (sinceMs, limit) => read('denial', sinceMs, limit).map(denialTally),
    hits: (sinceMs) => read('hit', sinceMs, -1).map(ruleTally).sort(byRule),
    trials: (sinceMs, limit) => read('trial', sinceMs, limit).map(trialTally),
    plaintext: (sinceMs, limit) => read('plaintext', sinceMs, limit).map(plaintextTally),
    countDenied: (sinceMs) => (total.get('denial', slotOf(sinceMs)) as { count: number }).count,
    forgetBefore: (ms) => forget.run(slotOf(ms)),
  };
}

function slotOf(ms: number): number {
  return Math.floor(ms / SLOT_MS);
}

/** One tally for all records of a batch that are alike: a batch of thousands writes a few rows. */
function tallyUp(records: ReadonlyMap<number, AccessRecord>): Iterable<Tally> {
  const tallies = new Map<string, Tally>();
  for (const [id, record] of records) {
    // Both sides of a call record it; the server's word counts.
    if (record.reporter !== 'destination') continue;
    const ms = Date.parse(record.time);
    for (const [kind, key] of keysOf(record)) {
      const slot = slotOf(ms);
      const name = `${kind} ${slot} ${key}`;
      const tally = tallies.get(name);
      if (tally === undefined) {
        tallies.set(name, { kind, slot, key, count: 1, firstMs: ms, lastMs: ms, sampleId: id });
        continue;
      }
      tally.count++;
      tally.firstMs = Math.min(tally.firstMs, ms);
      tally.lastMs = Math.max(tally.lastMs, ms);
      tally.sampleId = Math.max(tally.sampleId, id);
    }
  }
  return tallies.values();
}

function keysOf(record: AccessRecord): readonly (readonly [Kind, string])[] {
  const { policy, rule, verdict, reason } = record;
  const keys: (readonly [Kind, string])[] = [];
  if (policy !== null) keys.push(['hit', JSON.stringify([policy, rule, verdict])]);
  const caller = [record['source.id'], record['source.service']];
  const called = [record['destination.namespace'], record['destination.service']];
  for (const trial of record.dry_run ?? []) {
    keys.push([
      'trial',
      JSON.stringify([...caller, ...called, trial.policy, verdict, trial.verdict]),
    ]);
  }
  if (record['tls.version'] === null) {
    const port = record['destination.port'];
    keys.push(['plaintext', JSON.stringify([record['source.ip'], ...called, port, verdict])]);
  }
  if (verdict === 'deny') {
    keys.push(['denial', JSON.stringify([...caller, ...called, policy, rule, reason])]);
  }
  return keys;
}

function denialTally({ key, ...numbers }: Row): DenialTally {
  const parts = JSON.parse(key) as (string | null)[];
  const [sourceId = null, sourceService = null, namespace, service, ...why] = parts;
  const [policy = null, rule = null, reason = null] = why;
  const called = { namespace: namespace ?? '', service: service ?? '' };
  return { ...numbers, ...called, sourceId, sourceService, policy, rule, reason };
}

function trialTally({ key, ...numbers }: Row): TrialTally {
  const parts = JSON.parse(key) as (string | null)[];
  const [sourceId = null, sourceService = null, namespace, service, policy, verdict, would] = parts;
  return {
    ...numbers,
    sourceId,
    sourceService,
    namespace: namespace ?? '',
    service: service ?? '',
    policy: policy ?? '',
    verdict: verdict === 'allow' ? 'allow' : 'deny',
    would: would === 'allow' ? 'allow' : 'deny',
  };
}

function plaintextTally({ key, count, firstMs, lastMs }: Row): PlaintextTally {
  const parts = JSON.parse(key) as (string | number | null)[];
  const [sourceIp, namespace, service, port, verdict] = parts;
  return {
    sourceIp: typeof sourceIp === 'string' ? sourceIp : null,
    namespace: String(namespace ?? ''),
    service: String(service ?? ''),
    port: Number(port),
    verdict: verdict === 'allow' ? 'allow' : 'deny',
    count,
    firstMs,
    lastMs,
  };
}

function ruleTally({ key, count, lastMs }: Row): RuleTally {
  const [policy, rule, verdict] = JSON.parse(key) as [string, string | null, 'allow' | 'deny'];
  return { policy, rule, verdict, count, lastMs };
}

function byRule(a: RuleTally, b: RuleTally): number {
  const [left, right] = [`${a.policy} ${a.rule ?? ''}`, `${b.policy} ${b.rule ?? ''}`];
  return left < right ? -1 : Number(left > right);
}
