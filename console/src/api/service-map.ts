/** `GET /map`: who talked to whom in the window kept. */
export type ServiceMap = {
  readonly nodes: readonly MapNode[];
  readonly edges: readonly MapEdge[];
  readonly at: string;
  readonly windowSeconds: number;
};

/** A service of the mesh, or whoever called one. */
export type MapNode = {
  /** `namespace/service`, a SPIFFE ID, or `unknown`. */
  readonly id: string;
  readonly service: string;
  readonly namespace: string | null;
  readonly kind: 'service' | 'external' | 'unknown';
  readonly proxies: number;
  readonly ready: number;
  readonly stale: number;
};

/** Calls from one node to another. Totals are of the window; rates a second, of the last 10 s. */
export type MapEdge = {
  readonly id: string;
  readonly source: string;
  readonly sourceId: string | null;
  readonly destination: string;
  readonly namespace: string;
  readonly requests: number;
  readonly denied: number;
  readonly errors: number;
  readonly rate: number;
  readonly deniedRate: number;
  readonly errorRate: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly meanMs: number | null;
  /** Null where only sums are kept: of a stretch of the past. */
  readonly mtls: boolean | null;
  readonly protocol: string;
  readonly connections: number;
  readonly lastSeen: string;
  /** Id of the newest denial on this edge. */
  readonly lastDenial: string | null;
};
