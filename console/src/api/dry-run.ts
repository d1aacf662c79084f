/** `GET /dry-run`: calls of one caller that a policy in dry-run saw, and what it would have said. */
export type DryRunTally = {
  readonly policy: string;
  readonly source: string;
  readonly sourceId: string | null;
  readonly destination: string;
  readonly verdict: 'allow' | 'deny';
  readonly would: 'allow' | 'deny';
  readonly count: number;
  readonly first: string;
  readonly last: string;
  readonly sample: { readonly method: string | null; readonly path: string | null };
};
