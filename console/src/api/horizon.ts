/** `GET /horizon`: what expires, soonest first. */
export type Horizon = {
  readonly items: readonly HorizonItem[];
  /** Why the authority's part is not of now; empty while it is. */
  readonly problem: string;
};

/** One thing that expires. */
export type HorizonItem = {
  /** `root`, `issuer`, `authority`, `control`, `point`, `policy`, `jwt_key` or `join_token`. */
  readonly kind: string;
  readonly name: string;
  readonly expiresAt: string;
  /** From when on it needs somebody; null where what follows it is there already. */
  readonly actAt: string | null;
  readonly state: 'ok' | 'soon' | 'expired';
  /** The command that helps, or what to look at. */
  readonly fix: string;
};
