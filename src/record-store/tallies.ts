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

/** What is counted of records, besides where and how often. */
export type TallyKind = 'denial' | 'hit' | 'trial' | 'plaintext';

/** Records of one slot of five minutes that are alike; counts are weighted. Times in ms since 1970. */
export type Tally = {
  readonly kind: TallyKind;
  readonly slot: number;
  /** JSON of what they have alike, by kind. */
  readonly key: string;
  count: number;
  firstMs: number;
  lastMs: number;
  sampleId: number;
};

/** Tallies of several slots with the same key, added up. */
export type TallyRow = Pick<Tally, 'key' | 'count' | 'firstMs' | 'lastMs' | 'sampleId'>;

const SLOT_MS = 5 * 60_000;

/** The slot that an instant lies in. */
export function slotOf(ms: number): number {
  return Math.floor(ms / SLOT_MS);
}

/** A record to count: its id, and its time in ms. */
export type Tallied = { readonly id: number; readonly ms: number; readonly record: AccessRecord };

/** Counts records, each with its id: one tally for all that are alike, so that thousands write a few rows. */
export function tallyUp(records: Iterable<Tallied>): readonly Tally[] {
  const tallies = new Map<string, Tally>();
  for (const { id, ms, record } of records) {
    // Both sides of a call record it; the server's word counts.
    if (record.reporter !== 'destination') continue;
    const weight = record.weight ?? 1;
    for (const [kind, key] of keysOf(record)) {
      const slot = slotOf(ms);
      const name = `${kind} ${slot} ${key}`;
      const tally = tallies.get(name);
      if (tally === undefined) {
        tallies.set(name, {
          kind,
          slot,
          key,
          count: weight,
          firstMs: ms,
          lastMs: ms,
          sampleId: id,
        });
        continue;
      }
      tally.count += weight;
      tally.firstMs = Math.min(tally.firstMs, ms);
      tally.lastMs = Math.max(tally.lastMs, ms);
      tally.sampleId = Math.max(tally.sampleId, id);
    }
  }
  return [...tallies.values()];
}

/** Adds up rows of the same key, the latest first. */
export function mergeTallies(rows: Iterable<TallyRow>): readonly TallyRow[] {
  const merged = new Map<string, TallyRow>();
  for (const row of rows) {
    const known = merged.get(row.key);
    merged.set(
      row.key,
      known === undefined
        ? row
        : {
            key: row.key,
            count: known.count + row.count,
            firstMs: Math.min(known.firstMs, row.firstMs),
            lastMs: Math.max(known.lastMs, row.lastMs),
            sampleId: Math.max(known.sampleId, row.sampleId),
          },
    );
  }
  return [...merged.values()].sort((a, b) => b.lastMs - a.lastMs || b.sampleId - a.sampleId);
}

function keysOf(record: AccessRecord): readonly (readonly [TallyKind, string])[] {
  const { policy, rule, verdict, reason } = record;
  const keys: (readonly [TallyKind, string])[] = [];
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

/** Reads a tally of denials. */
export function denialTally({ key, ...numbers }: TallyRow): DenialTally {
  const parts = JSON.parse(key) as (string | null)[];
  const [sourceId = null, sourceService = null, namespace, service, ...why] = parts;
  const [policy = null, rule = null, reason = null] = why;
  const called = { namespace: namespace ?? '', service: service ?? '' };
  return { ...numbers, ...called, sourceId, sourceService, policy, rule, reason };
}

/** Reads a tally of what policies in dry-run said. */
export function trialTally({ key, ...numbers }: TallyRow): TrialTally {
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

/** Reads a tally of calls without TLS. */
export function plaintextTally({ key, count, firstMs, lastMs }: TallyRow): PlaintextTally {
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

/** Reads a tally of a rule. */
export function ruleTally({ key, count, lastMs }: TallyRow): RuleTally {
  const [policy, rule, verdict] = JSON.parse(key) as [string, string | null, 'allow' | 'deny'];
  return { policy, rule, verdict, count, lastMs };
}

/** Orders rules by policy and rule. */
export function byRule(a: RuleTally, b: RuleTally): number {
  const [left, right] = [`${a.policy} ${a.rule ?? ''}`, `${b.policy} ${b.rule ?? ''}`];
  return left < right ? -1 : Number(left > right);
}
