/** Records that a source issued and that never came, by their numbers. */
export type RecordGap = {
  readonly from_seq: number;
  readonly until_seq: number;
  readonly why?: string | null;
};

/** What one source issued in one hour, and what became of it. */
export type SourceHour = {
  readonly source: string;
  readonly service?: string | null;
  readonly hour: string;
  readonly issued: number;
  readonly arrived: number;
  readonly sampled: number;
  /** Left out by the source itself, by kind. */
  readonly dropped?: Readonly<Record<string, number>>;
  readonly ratio: number;
  readonly gaps?: readonly RecordGap[];
};

/** `GET /completeness`: whether all that was recorded arrived. */
export type Completeness = {
  readonly sources: readonly SourceHour[];
  /** A share of one; null while nothing was issued. */
  readonly ratio: number | null;
};

/** Part of an answer that is not there: from which source, how many, and why. */
export type Missing = {
  readonly source: string;
  readonly from?: string | null;
  readonly until?: string | null;
  readonly count?: number | null;
  readonly why?: string | null;
};
