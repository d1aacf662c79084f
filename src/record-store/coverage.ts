/**
 * What sources say they issued against what came. Each source numbers its records; each of its messages speaks for a
 * range of numbers: these came, so many were sampled away, so many lost. What no message spoke for is missing, by name.
 */

/** A range of numbers that no message spoke for, or that one spoke for and did not account for. */
export type Gap = {
  readonly from: number;
  readonly until: number;
  readonly count: number;
  /** The hour it was noticed in, ms since 1970. */
  readonly hourMs: number;
  readonly why: GapReason;
};

/** `crash`: the source was killed, and what it recorded last is not known; its count is 0, for nobody knows. */
export type GapReason = 'not_arrived' | 'unaccounted' | 'crash';

/** What is known of one source's numbers: all up to `until` are spoken for, but for the gaps. */
export type SourceState = {
  readonly until: number;
  /** The newest time of a record, ms since 1970. */
  readonly lastMs: number;
  /** The last starts of the source that gave these numbers. */
  readonly boots: readonly string[];
  readonly gaps: readonly Gap[];
};

/** What became of a range of a source's numbers, by its own account. */
export type Account = {
  /** The start of the source that gave the numbers; empty where it does not say. */
  readonly boot: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** When the first of them was recorded by the source's clock, ms since 1970; 0: not said. */
  readonly sinceMs: number;
  readonly sampled: number;
  /** Lost at the source, by kind. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly afterCrash: boolean;
};

/** The records that came with an account: their numbers and times, in their order. */
export type AccountRecords = {
  readonly seqs: readonly number[];
  readonly times: readonly number[];
};

/** Counts of one source and hour; what is left of `issued` is missing. */
export type HourCounts = {
  readonly issued: number;
  readonly arrived: number;
  readonly sampled: number;
  readonly dropped: Readonly<Record<string, number>>;
};

/** What an account changed. */
export type Covered = {
  readonly state: SourceState;
  /** Whether each record is new. */
  readonly isNew: readonly boolean[];
  readonly hourMs: number;
  readonly counts: HourCounts;
};

/** Completeness of one source in one hour, as the API answers it. */
export type SourceHour = {
  readonly source: string;
  /** `namespace/service` */
  readonly service: string;
  /** ISO 8601. */
  readonly hour: string;
  readonly issued: number;
  readonly arrived: number;
  readonly sampled: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly missing: number;
  readonly ratio: number;
  readonly gaps: readonly {
    readonly from_seq: number;
    readonly until_seq: number;
    readonly why: string;
  }[];
};

/** Completeness of the mesh; a ratio of 1 where nothing was issued. */
export type Completeness = { readonly sources: readonly SourceHour[]; readonly ratio: number };

/** What is missing of one source's records; times ISO 8601. */
export type MissingRecords = {
  readonly source: string;
  readonly from: string;
  readonly until: string;
  readonly count: number;
  readonly why: string;
};

export const HOUR_MS = 3_600_000;
const MAX_GAPS = 200;
const MAX_BOOTS = 8;
const MAX_NAMED = 5;
// SECURITY: a source's clock is its own word; its numbers are counted in an hour that can be true.
const MAX_LATE_MS = 7 * 24 * HOUR_MS;
const MAX_AHEAD_MS = 5 * 60_000;

/** Takes in one account of a source, that arrived at `nowMs`. */
export function cover(
  before: SourceState | undefined,
  account: Account,
  { seqs, times, nowMs }: AccountRecords & { readonly nowMs: number },
): Covered {
  const { boot, firstSeq, lastSeq } = account;
  const known = startsAnew(before, account, { seqs, times }) ? undefined : before;
  const start = known ?? { until: firstSeq - 1, lastMs: 0, boots: [], gaps: [] };
  const isNew = newRecords(start, seqs);
  const filled = fill(start.gaps, firstSeq, lastSeq);
  const hourMs = filled.hourMs ?? hourOf(believable(account.sinceMs, nowMs));
  const jumped = Math.max(0, firstSeq - 1 - start.until);
  const beyond = Math.max(0, lastSeq - Math.max(start.until, firstSeq - 1));
  const open = beyond + filled.count;
  const arrived = isNew.filter(Boolean).length;
  const sampled = Math.min(account.sampled, Math.max(0, open - arrived));
  const dropped = withinRoom(account.dropped, open - arrived - sampled);
  const lost = open - arrived - sampled - sumOf(dropped);
  const gaps = [...filled.gaps];
  const note = (why: GapReason, from: number, until: number, count: number): void => {
    gaps.push({ from, until, count, hourMs, why });
  };
  if (jumped > 0) note('not_arrived', start.until + 1, firstSeq - 1, jumped);
  if (lost > 0) note('unaccounted', firstSeq, lastSeq, lost);
  if (account.afterCrash && beyond > 0) note('crash', firstSeq, firstSeq, 0);
  return {
    state: {
      until: Math.max(start.until, lastSeq),
      lastMs: times.reduce((last, ms) => Math.max(last, ms), start.lastMs),
      boots: start.boots.includes(boot) ? start.boots : [...start.boots, boot].slice(-MAX_BOOTS),
      gaps: gaps.slice(-MAX_GAPS),
    },
    isNew,
    hourMs,
    counts: { issued: jumped + beyond, arrived, sampled, dropped },
  };
}

function believable(sinceMs: number, nowMs: number): number {
  return sinceMs > nowMs - MAX_LATE_MS && sinceMs < nowMs + MAX_AHEAD_MS ? sinceMs : nowMs;
}

/**
 * Whether the source lost its folder and counts from the beginning: a start that nobody knew uses numbers that were
 * used. A source that does not name its starts gives itself away by its clock: what comes again is never newer.
 */
function startsAnew(
  before: SourceState | undefined,
  { boot, firstSeq }: Account,
  { seqs, times }: AccountRecords,
): boolean {
  if (before === undefined || firstSeq > before.until || isInGap(before, firstSeq)) return false;
  if (boot !== '') return !before.boots.includes(boot);
  return seqs.some((seq, at) => seq <= before.until && (times[at] ?? 0) > before.lastMs);
}

function isInGap({ gaps }: SourceState, seq: number): boolean {
  return gaps.some((gap) => gap.why === 'not_arrived' && seq >= gap.from && seq <= gap.until);
}

function newRecords(state: SourceState, seqs: readonly number[]): readonly boolean[] {
  let last = 0;
  return seqs.map((seq) => {
    // A message lists its records in order; one that does not is not counted twice.
    if (seq <= last) return false;
    last = seq;
    return seq > state.until || isInGap(state, seq);
  });
}

/** Takes what a message speaks for out of the gaps. */
function fill(
  gaps: readonly Gap[],
  from: number,
  until: number,
): { gaps: readonly Gap[]; count: number; hourMs: number | undefined } {
  let count = 0;
  let hourMs: number | undefined;
  const left = gaps.flatMap((gap): Gap[] => {
    if (gap.why !== 'not_arrived' || until < gap.from || from > gap.until) return [gap];
    count += Math.min(until, gap.until) - Math.max(from, gap.from) + 1;
    hourMs ??= gap.hourMs;
    const before = { ...gap, until: from - 1, count: from - gap.from };
    const after = { ...gap, from: until + 1, count: gap.until - until };
    return [before, after].filter((part) => part.count > 0);
  });
  return { gaps: left, count, hourMs };
}

function withinRoom(
  dropped: Readonly<Record<string, number>>,
  room: number,
): Readonly<Record<string, number>> {
  let left = room;
  const kept: Record<string, number> = {};
  for (const [kind, count] of Object.entries(dropped)) {
    const fits = Math.min(count, left);
    if (fits <= 0) continue;
    kept[kind] = fits;
    left -= fits;
  }
  return kept;
}

/** The hour that an instant lies in. */
export function hourOf(ms: number): number {
  return Math.floor(ms / HOUR_MS) * HOUR_MS;
}

/** Adds counts up. */
export function addCounts(a: HourCounts, b: HourCounts): HourCounts {
  const dropped: Record<string, number> = { ...a.dropped };
  for (const [kind, count] of Object.entries(b.dropped))
    dropped[kind] = (dropped[kind] ?? 0) + count;
  return {
    issued: a.issued + b.issued,
    arrived: a.arrived + b.arrived,
    sampled: a.sampled + b.sampled,
    dropped,
  };
}

/** One source and hour with its counts. */
export type CountedHour = HourCounts & {
  readonly node: string;
  readonly hourMs: number;
};

/** The answer about counted hours; `gapsOf` a source. */
export function completenessOf(
  hours: readonly CountedHour[],
  gapsOf: (node: string) => readonly Gap[],
): Completeness {
  const sources = mergeHours(hours).map((hour): SourceHour => {
    const { node, hourMs, issued, arrived, sampled, dropped } = hour;
    const gaps = gapsOf(node).filter((gap) => gap.hourMs === hourMs);
    return {
      source: node,
      service: node.split('/').slice(0, 2).join('/'),
      hour: new Date(hourMs).toISOString(),
      issued,
      arrived,
      sampled,
      dropped,
      missing: missingOf(hour),
      ratio: ratioOf(issued, arrived + sampled),
      gaps: gaps.map(({ from, until, why }) => ({ from_seq: from, until_seq: until, why })),
    };
  });
  const sum = (of: (hour: SourceHour) => number): number =>
    sources.reduce((total, hour) => total + of(hour), 0);
  return {
    sources,
    ratio: ratioOf(
      sum((h) => h.issued),
      sum((h) => h.arrived + h.sampled),
    ),
  };
}

/** An hour whose counts stand in two files, as that of midnight after an outage does, is one. */
function mergeHours(hours: readonly CountedHour[]): readonly CountedHour[] {
  const merged = new Map<string, CountedHour>();
  for (const hour of hours) {
    const key = `${hour.hourMs} ${hour.node}`;
    const known = merged.get(key);
    merged.set(key, known === undefined ? hour : { ...hour, ...addCounts(known, hour) });
  }
  return [...merged.values()].sort((a, b) => a.hourMs - b.hourMs || (a.node < b.node ? -1 : 1));
}

/** What is missing or was dropped in counted hours, in words for people. */
export function missingFrom({ sources }: Completeness): readonly MissingRecords[] {
  return sources.flatMap(({ source, hour, missing, dropped, gaps }): MissingRecords[] => {
    const until = new Date(Date.parse(hour) + HOUR_MS).toISOString();
    const lost = Object.entries(dropped).map(([kind, count]) => ({
      source,
      from: hour,
      until,
      count,
      why: `dropped at the source: ${kind}`,
    }));
    for (const gap of gaps) {
      if (gap.why !== 'crash') continue;
      const why = `killed before number ${gap.from_seq}: its last 100 ms are not known`;
      lost.push({ source, from: hour, until, count: 0, why });
    }
    if (missing <= 0) return lost;
    const named = gaps
      .filter((gap) => gap.why !== 'crash')
      .slice(0, MAX_NAMED)
      .map(({ from_seq: a, until_seq: b }) => (a === b ? `${a}` : `${a}–${b}`));
    const why = named.length === 0 ? 'never arrived' : `never arrived: numbers ${named.join(', ')}`;
    return [...lost, { source, from: hour, until, count: missing, why }];
  });
}

function missingOf({ issued, arrived, sampled, dropped }: HourCounts): number {
  return Math.max(0, issued - arrived - sampled - sumOf(dropped));
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function ratioOf(issued: number, accounted: number): number {
  return issued <= 0 ? 1 : Math.min(1, accounted / issued);
}
