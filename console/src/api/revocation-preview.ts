/** `GET /revocations/preview`: what a revocation would hit; lists are the largest 500. */
export type RevocationPreview = {
  readonly what: string;
  readonly revokedAlready: boolean;
  /** Valid now, and not with it. */
  readonly certificates: number;
  readonly identities: readonly {
    readonly spiffeId: string;
    readonly serials: readonly string[];
    /** Connected enforcement points that have one of these. */
    readonly heldBy: readonly string[];
    readonly outcome: 'ends' | 'renews';
  }[];
  readonly edges: readonly {
    readonly source: string;
    readonly sourceId: string | null;
    readonly destination: string;
    readonly side: 'caller' | 'server' | 'both';
    /** Other instances of that side keep their certificates. */
    readonly partly: boolean;
    /** Calls, and TCP connections, that ended since `countedFrom` undenied. */
    readonly calls: number;
    /** TCP connections that began since. */
    readonly connections: number;
    readonly lastSeen: string;
  }[];
  readonly totals: {
    readonly identities: number;
    readonly edges: number;
    readonly calls: number;
    readonly connections: number;
  };
  readonly countedFrom: string;
  readonly points: number;
  readonly log: { readonly reachable: boolean; readonly reason: string };
};
