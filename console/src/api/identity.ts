import type { Page } from './page.ts';

/** `GET /identities`: one certificate from the authority's issuance log. */
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
  /** The newest unexpired one of its id. */
  readonly current: boolean;
  /** The enforcement point that is connected and says it has it; null where its process ended, or tells nobody. */
  readonly heldBy: string | null;
};

/** The page of identities also says how far the log was read, and whether its chain holds. */
export type IdentityPage = Page<Identity> & {
  readonly log: {
    readonly number: number;
    readonly hash: string;
    readonly verified: boolean;
    readonly reason: string;
  } | null;
  readonly reachable: boolean;
  readonly reason: string;
};
