/** `GET /horizon`: what expires, soonest first. */
export type Horizon = {
  readonly items: readonly HorizonItem[];
  /** Why the authority's part is not of now; empty while it is. */
  readonly problem: string;
};

/** One thing that expires. */
export type HorizonItem = {
  /** `root`, `issuer`, `authority`, `control`, `point`, `policy`, `jwt_key`, `join_token` or `foreign_bundle`. */
  readonly kind: string;
  readonly name: string;
  readonly expiresAt: string;
  /** From when on it needs somebody; null where what follows it is there already. */
  readonly actAt: string | null;
  readonly state: 'ok' | 'soon' | 'expired';
  /** The command that helps, or what to look at. */
  readonly fix: string;
  /** Of a foreign bundle: the agents whose copy ends first, or is not refreshed. */
  readonly agents: readonly string[];
  /** Of a foreign bundle: when the agent that is furthest behind last had it. */
  readonly refreshedAt: string | null;
};
