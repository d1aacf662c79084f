import type { AccessRecord } from '#telemetry';
import { type Account, cover, type HourCounts, type SourceState } from './coverage.ts';
import { type Line, linesOf } from './lines.ts';
import { isOwnRecord, parseRecord, type RecordFields } from './parse-record.ts';
import type { DeniedEdge, Report } from './record-store.ts';
import type { Row } from './row.ts';

/** What reports come to, before anything is written. */
export type Intake = {
  readonly rows: readonly Row[];
  /** For each report, the places of its records that are new, in the order of `rows`. */
  readonly accepted: readonly (readonly number[])[];
  readonly duplicates: number;
  readonly refused: number;
  readonly refusals: readonly { readonly node: string; readonly reason: string }[];
  readonly denied: number;
  readonly deniedEdges: readonly DeniedEdge[];
  /** What is to be known of each source afterwards, and what to add to its hours. */
  readonly sources: ReadonlyMap<string, SourceState>;
  readonly hours: readonly {
    readonly hourMs: number;
    readonly node: string;
    readonly counts: HourCounts;
  }[];
};

const MAX_REFUSALS = 10;

/** Reads reports: parses, refuses, leaves out what came before. `known` tells of a source; nothing is changed. */
export function takeIn(
  reports: readonly Report[],
  known: (node: string) => SourceState | undefined,
  nowMs: number,
): Intake {
  const intake = new IntakeBuilder(known, nowMs);
  for (const report of reports) intake.take(report);
  return intake.finish();
}

type Parsed = {
  readonly at: number;
  readonly fields: RecordFields;
  readonly seq: number;
  readonly ms: number;
};

class IntakeBuilder {
  readonly #known: (node: string) => SourceState | undefined;
  readonly #nowMs: number;
  readonly #rows: Row[] = [];
  readonly #accepted: number[][] = [];
  readonly #refusals: { node: string; reason: string }[] = [];
  readonly #sources = new Map<string, SourceState>();
  readonly #hours: { hourMs: number; node: string; counts: HourCounts }[] = [];
  readonly #edges = new Map<string, DeniedEdge>();
  #duplicates = 0;
  #refused = 0;
  #denied = 0;

  constructor(known: (node: string) => SourceState | undefined, nowMs: number) {
    this.#known = known;
    this.#nowMs = nowMs;
  }

  take(report: Report): void {
    const accepted: number[] = [];
    this.#accepted.push(accepted);
    const parsed = this.#parseAll(report);
    for (const { account, own } of matchAccounts(report.accounts, parsed)) {
      this.#account(report.node, account, own, accepted);
    }
  }

  finish(): Intake {
    return {
      rows: this.#rows,
      accepted: this.#accepted,
      duplicates: this.#duplicates,
      refused: this.#refused,
      refusals: this.#refusals,
      denied: this.#denied,
      deniedEdges: [...this.#edges.values()],
      sources: this.#sources,
      hours: this.#hours,
    };
  }

  #parseAll(report: Report): readonly Parsed[] {
    const parsed: Parsed[] = [];
    let at = 0;
    for (const line of linesOf(report.blocks)) {
      parsed.push(...this.#parse(report, line, at++));
    }
    return parsed;
  }

  #parse(report: Report, line: Line, at: number): readonly Parsed[] {
    const parsed = line.ok ? parseRecord(line.value) : line;
    if (!parsed.ok) return this.#refuse(report.node, parsed.error);
    const fields = parsed.value;
    if (report.isOurs !== true && !isOwnRecord(report, fields))
      return this.#refuse(report.node, 'a record of another service');
    return [{ at, fields, seq: Number(fields['seq']), ms: Date.parse(String(fields['time'])) }];
  }

  #refuse(node: string, reason: string): readonly Parsed[] {
    this.#refused++;
    if (this.#refusals.length < MAX_REFUSALS) this.#refusals.push({ node, reason });
    return [];
  }

  #account(node: string, account: Account, own: readonly Parsed[], accepted: number[]): void {
    const { state, isNew, hourMs, counts } = cover(
      this.#sources.get(node) ?? this.#known(node),
      account,
      {
        seqs: own.map(({ seq }) => seq),
        times: own.map(({ ms }) => ms),
        nowMs: this.#nowMs,
      },
    );
    this.#sources.set(node, state);
    const isCounted = counts.issued > 0 || counts.arrived > 0 || counts.sampled > 0;
    if (isCounted) this.#hours.push({ hourMs, node, counts });
    for (const [i, { at, fields, ms }] of own.entries()) {
      if (isNew[i] !== true) {
        this.#duplicates++;
        continue;
      }
      accepted.push(at);
      this.#rows.push({ node, fields, ms: Math.floor(ms) });
      this.#noteDenial(fields as unknown as AccessRecord);
    }
  }

  #noteDenial(record: AccessRecord): void {
    if (record.verdict !== 'deny' || record.reporter !== 'destination') return;
    this.#denied++;
    const edge: DeniedEdge = {
      sourceId: record['source.id'],
      sourceService: record['source.service'],
      namespace: record['destination.namespace'] ?? '',
      service: record['destination.service'] ?? '',
      denialId: record.denial_id ?? '',
    };
    this.#edges.set(
      `${edge.sourceId} ${edge.sourceService} ${edge.namespace} ${edge.service}`,
      edge,
    );
  }
}

/** Each account with the records it speaks for; a record that none speaks for is taken by itself. */
function matchAccounts(
  accounts: readonly Account[],
  records: readonly Parsed[],
): readonly { readonly account: Account; readonly own: readonly Parsed[] }[] {
  const matched = accounts
    .filter(({ firstSeq, lastSeq }) => firstSeq >= 0 && lastSeq >= firstSeq)
    .map((account) => ({ account, own: [] as Parsed[] }));
  let at = 0;
  for (const record of records) {
    // Both are in order, so that the next record is of the same account or of a later one.
    while (at < matched.length - 1 && record.seq > (matched[at]?.account.lastSeq ?? 0)) at++;
    const here = matched[at];
    if (
      here !== undefined &&
      record.seq >= here.account.firstSeq &&
      record.seq <= here.account.lastSeq
    ) {
      here.own.push(record);
      continue;
    }
    matched.splice(at, 0, { account: accountOf(record), own: [record] });
    at++;
  }
  return matched;
}

function accountOf({ seq, ms }: Parsed): Account {
  return {
    boot: '',
    firstSeq: seq,
    lastSeq: seq,
    sinceMs: ms,
    sampled: 0,
    dropped: {},
    afterCrash: false,
  };
}
