import type { SliName } from '#alert';
import type { ApiClient } from '#client';

// Answers of the control plane's API, as docs/reference/api.md gives them.

/** One page of a list. */
export type Page<T> = { readonly items: readonly T[]; readonly next: string | null };

/** What is missing of one source's records. */
export type MissingRecords = {
  readonly source: string;
  readonly from: string;
  readonly until: string;
  readonly count: number;
  readonly why: string;
};

/** `GET /records` */
export type RecordAnswer = Page<AccessRecord> & { readonly missing?: readonly MissingRecords[] };

/** `GET /traces/:id` */
export type TraceAnswer = {
  readonly trace_id: string;
  readonly spans: readonly TraceSpan[];
  readonly records: readonly AccessRecord[];
  readonly missing?: readonly MissingRecords[];
};

/** One stretch of a call at one place; times in microseconds. */
export type TraceSpan = {
  readonly span_id: string;
  readonly parent_span_id: string | null;
  readonly name: string;
  readonly kind: string;
  readonly service: string | null;
  readonly node: string;
  readonly start: string;
  readonly start_us: number;
  readonly duration_us: number;
  readonly attributes: Readonly<Record<string, unknown>>;
};

export type ResourceEntry = {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly key: string;
  readonly resource: unknown;
  readonly source: string | null;
  readonly number: number;
  readonly author: string;
  readonly time: string;
};

export type SetVersion = { readonly number: number; readonly hash: string };

export type EnforcementPoint = {
  readonly node: string;
  readonly kind: string;
  readonly spiffeId: string | null;
  readonly namespace: string | null;
  readonly service: string | null;
  readonly connected: boolean;
  /** Whether it acknowledged anything on its present stream; absent from a control plane of version 0.1. */
  readonly acknowledged?: boolean;
  readonly lastSeen: string;
  readonly sets: readonly {
    readonly namespace: string;
    readonly wanted: SetVersion | null;
    readonly enforced: SetVersion | null;
    readonly current: boolean;
  }[];
  readonly stale: boolean;
  readonly reason: string;
  readonly refused: readonly {
    readonly namespace: string;
    readonly number: number;
    readonly code: string;
    readonly message: string;
  }[];
  readonly ready: boolean;
  readonly readyReason: string;
  readonly certificateExpiresAt: string | null;
  readonly metricsUrl: string | null;
  /** Endpoints of services it calls that it leaves alone: `ejected` or `unhealthy`. */
  readonly troubled: readonly {
    readonly namespace: string;
    readonly service: string;
    readonly address: string;
    readonly health: string;
  }[];
  readonly revocationsCurrent: boolean;
  /** Addresses besides loopback where its application listens: ways around its sidecar. */
  readonly exposed: readonly string[];
  readonly trustRootVersion: number | null;
  readonly certificateRoot: string | null;
};

export type Identity = {
  readonly spiffeId: string;
  readonly serial: string;
  readonly issuedAt: string;
  readonly expiresAt: string;
  readonly selectors: readonly string[];
  /** `none`, `token`, `process`, `kubernetes` or `tpm`; null where version 0.1 issued it. */
  readonly attestation: string | null;
  readonly allowedBy: string;
  readonly requestedBy: string;
  readonly certificateSha256: string;
  readonly logNumber: number;
  readonly current: boolean;
};

/** A silence of alerts. */
export type SilenceEntry = {
  readonly id: string;
  readonly match: {
    readonly id?: string;
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly owner: string;
  readonly reason: string;
  readonly created_at: string;
  readonly ends_at: string;
};

/** A service level objective and how it stands. */
export type SloEntry = {
  readonly name: string;
  readonly namespace: string | null;
  readonly service: string | null;
  readonly sli: SliName;
  readonly objective: string;
  readonly window: string;
  readonly threshold: string | null;
  readonly budget_left_ratio: number;
  readonly burn_1h: number;
  readonly burn_6h: number;
  readonly state: 'ok' | 'burning' | 'exhausted' | 'no_data';
  readonly alert: 'page' | 'ticket' | 'none';
  readonly built_in: boolean;
};

/** A record as stored: keys flat and dotted. */
export type AccessRecord = Readonly<Record<string, string | number | boolean | null>>;

const PAGE_SIZE = 1000;
const MAX_PAGES = 1000;

/** Every item of a paged list. */
export async function fetchAll<T>(
  api: Pick<ApiClient, 'call'>,
  path: string,
): Promise<readonly T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const separator = path.includes('?') ? '&' : '?';
    const query: string = `limit=${PAGE_SIZE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer: Page<T> = await api.call<Page<T>>('GET', `${path}${separator}${query}`);
    items.push(...answer.items);
    if (answer.next === null) return items;
    cursor = answer.next;
  }
  return items;
}
