import type { AttestationStrength, Bundle, RevocationCheck } from '#identity';
import type { Result } from '#lib';
import type { NodeAttestorSpec } from '#resource';
import type { TrustRoot } from '#trust';
import type { HostEvidence, Hosts } from '../hosts.ts';

/** Evidence and answers as an agent sends them: a JSON object, of which nothing is known yet. */
export type Evidence = Readonly<Record<string, unknown>>;

/** A host whose evidence is good. */
export type AttestedHost = {
  /**
   * Its agent's ID after `/palisade/agent/`: `ATTESTOR/NAME`, which no other host's evidence leads to, or the host that
   * an author named.
   */
  readonly agent: string;
  readonly selectors: readonly string[];
  /** Whether the evidence could be repeated by whoever saw it, so that it counts for the first agent alone. */
  readonly isFirstUseOnly: boolean;
  /** A token that is good once. */
  readonly usesUp?: { readonly tokenId: string; readonly expiresAt: number };
  /** What was known of the host before and goes on being true. */
  readonly kept?: HostEvidence;
};

/** What verifying leads to: a host, or a question that only the right host can answer. */
export type Step =
  | { readonly kind: 'attested'; readonly host: AttestedHost }
  | {
      readonly kind: 'challenge';
      readonly challenge: Evidence;
      readonly verify: (answer: Evidence) => Result<AttestedHost, string>;
    };

/** What an attestor verifies with. */
export type AttestationContext = {
  /** The specs of the signed NodeAttestors. */
  readonly specs: readonly NodeAttestorSpec[];
  /** SubjectPublicKeyInfo of the key that is to be certified: proofs bind to it. */
  readonly publicKeyDer: Uint8Array;
  readonly nowMs: number;
  readonly trustRoot: TrustRoot;
  readonly bundle: Bundle;
  readonly hosts: Hosts;
  readonly revoked: RevocationCheck;
};

/** One kind of evidence of hosts. */
export type NodeAttestor = {
  readonly strength: AttestationStrength;
  readonly begin: (evidence: Evidence, context: AttestationContext) => Result<Step, string>;
};
