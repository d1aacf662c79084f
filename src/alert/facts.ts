// What alerts look at: plain data of one moment, so that every alert can be caused by a test.

/** All of it; times in ms since 1970. */
export type MeshFacts = {
  readonly nowMs: number;
  readonly points: readonly PointFact[];
  readonly policySets: readonly { readonly namespace: string; readonly expiresAt: number }[];
  readonly brokenSets: readonly { readonly namespace: string; readonly message: string }[];
  readonly authority: {
    readonly reachable: boolean;
    readonly reason: string;
    /** Undefined while nothing of its log was read. */
    readonly logVerified: boolean | undefined;
    readonly logReason: string;
    /** When each root of the trust domain expires. */
    readonly rootsExpireAt: readonly number[];
    /** Issuers, keys and the authority's own certificate that expire soon and that nothing follows yet. */
    readonly due: readonly {
      readonly kind: string;
      readonly name: string;
      readonly expiresAt: number;
      readonly fix: string;
    }[];
  };
  /** Bundles of foreign trust domains that end soon, or that agents cannot refresh. */
  readonly foreignBundles: readonly {
    readonly name: string;
    readonly expiresAt: number;
    readonly fix: string;
  }[];
  readonly controlCertificateExpiresAt: number;
  readonly plaintext: readonly PlaintextFact[];
  readonly bursts: readonly DenialBurst[];
  readonly telemetry: {
    /** Batches of records that could not be stored in the last five minutes. */
    readonly failedWrites: number;
    readonly gaps: readonly TelemetryGap[];
  };
  readonly sinks: readonly SinkFact[];
  readonly auditLogs: readonly AuditLogFact[];
};

/** One enforcement point. */
export type PointFact = {
  readonly node: string;
  readonly namespace: string | null;
  readonly service: string | null;
  readonly connected: boolean;
  readonly stale: boolean;
  /** Words; empty when all is well. */
  readonly reason: string;
  readonly refused: readonly {
    readonly namespace: string;
    readonly number: number;
    readonly code: string;
    readonly message: string;
  }[];
  readonly revocationsCurrent: boolean;
  readonly ready: boolean;
  readonly readyReason: string;
  readonly certificateExpiresAt: string | null;
  /** From its issuance to its end, ms; undefined where the authority's log does not tell. */
  readonly certificateLifeMs?: number | undefined;
  readonly troubled: readonly {
    readonly namespace: string;
    readonly service: string;
    readonly address: string;
    readonly health: string;
  }[];
  readonly exposed: readonly string[];
};

/** Calls from a to b that were allowed without mutual TLS. */
export type PlaintextFact = {
  readonly source: string;
  readonly destination: string;
  readonly calls: number;
};

/** Many denials of one caller at one service. */
export type DenialBurst = {
  readonly source: string;
  /** `namespace/service` */
  readonly destination: string;
  readonly namespace: string;
  /** In the last five minutes, and on average in five minutes of the hour before. */
  readonly denied: number;
  readonly usual: number;
  /** What decided most of them, `namespace/policy`; null: no policy allowed it. */
  readonly policy: string | null;
  readonly reason: string | null;
  readonly denialId: string | null;
  /** `namespace@number` of a fresh commit that explains all of them. */
  readonly expectedBy: string | undefined;
};

/** Records of one source that neither came nor were accounted for. */
export type TelemetryGap = {
  readonly source: string;
  readonly namespace: string | null;
  readonly missing: number;
  /** In words, such as `seq 120 to 140`. */
  readonly where: string;
};

/** Where records are sent on to. */
export type SinkFact = {
  readonly name: string;
  readonly state: 'ok' | 'retrying' | 'failing' | 'paused';
  readonly lagSeconds: number;
  readonly lastError: string | null;
};

/** Whether an audit log verifies. */
export type AuditLogFact = {
  readonly name: string;
  readonly state: 'verified' | 'failed' | 'unverified';
  readonly problem: string | null;
};
