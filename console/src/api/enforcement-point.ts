/** A version of a namespace's policy set. */
export type SetVersion = { readonly number: number; readonly hash: string };

/** What one enforcement point should hold of a namespace, and what it says it enforces. */
export type HeldSet = {
  readonly namespace: string;
  readonly wanted: SetVersion | null;
  readonly enforced: SetVersion | null;
  readonly current: boolean;
  readonly wantedSince: string | null;
};

/** `GET /enforcement-points`: a proxy, an agent or the certificate authority. */
export type EnforcementPoint = {
  readonly node: string;
  readonly kind: 'proxy' | 'agent' | 'ca';
  readonly spiffeId: string | null;
  readonly namespace: string | null;
  readonly service: string | null;
  readonly connected: boolean;
  readonly connectedAt: string | null;
  readonly lastSeen: string;
  readonly sets: readonly HeldSet[];
  readonly stale: boolean;
  /** In words; empty when all is well. */
  readonly reason: string;
  readonly refused: readonly {
    readonly namespace: string;
    readonly number: number;
    readonly hash: string;
    readonly code: string;
    readonly message: string;
  }[];
  readonly ready: boolean;
  readonly readyReason: string;
  readonly certificateExpiresAt: string | null;
  readonly certificateSerial: string | null;
  readonly metricsUrl: string | null;
  readonly softwareVersion: string | null;
  /** Addresses besides loopback where its application listens: ways around its sidecar. */
  readonly exposed: readonly string[];
  readonly endpoints: readonly {
    readonly namespace: string;
    readonly service: string;
    readonly host: string;
    readonly port: number;
  }[];
};
