import type { ListedRecord } from './access-record.ts';
import type { Missing } from './completeness.ts';

/** One stretch of a call at one place. */
export type Span = {
  readonly span_id: string;
  readonly parent_span_id?: string | null;
  readonly name: string;
  readonly kind?: string | null;
  readonly service?: string | null;
  readonly node?: string | null;
  readonly start: string;
  /** Microseconds since 1970, where the answer is that exact. */
  readonly start_us?: number | null;
  readonly duration_us: number;
  readonly attributes?: Readonly<Record<string, unknown>>;
};

/** `GET /traces/:id`: a call across services. */
export type Trace = {
  readonly trace_id: string;
  readonly spans: readonly Span[];
  readonly records: readonly ListedRecord[];
  readonly missing?: readonly Missing[];
};
