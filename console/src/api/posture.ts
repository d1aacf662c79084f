/** One part of the posture score: what it counts, why it is not full, and what would raise it. */
export type PosturePart = {
  readonly name: string;
  readonly score: number;
  readonly of: number;
  readonly why: string;
  readonly fix?: string | null;
  readonly command?: string | null;
};

/** `GET /posture`: how well protected the mesh is, and how that came to be. Coverages are shares of one. */
export type Posture = {
  readonly score: number;
  readonly of: number;
  readonly parts: readonly PosturePart[];
  readonly mtls_coverage: number | null;
  readonly policy_coverage: number | null;
  readonly audit_coverage: number | null;
  readonly risk_trend: readonly (readonly [string | number, number])[];
};
