import { ok, type Result } from '#lib';
import { canonicalJson, decodeCanonicalJson, decodeJson } from './canonical-json.ts';
import { type DsseEnvelope, decodeEnvelope, encodeEnvelope } from './dsse.ts';
import { refuse, type TrustError } from './errors.ts';
import type { LookupAnswer } from './lookup.ts';
import type { PolicySetUpdate, ResourceChange } from './policy-set.ts';

/** An update as bytes: what distribution.proto's PolicySetUpdate holds. */
export type EncodedUpdate = {
  readonly namespace: string;
  /** JSON of DSSE envelopes. */
  readonly commits: Uint8Array[];
  readonly full: boolean;
  /** Canonical JSON; empty: deleted. */
  readonly changes: { readonly key: string; readonly resource: Uint8Array }[];
};

/** A lookup's answer as bytes: what distribution.proto's LookupResult holds. */
export type EncodedAnswer = {
  readonly commit: Uint8Array;
  /** Canonical JSON; empty: there is none. */
  readonly resource: Uint8Array;
  readonly proof: Uint8Array;
};

const MAX_RESOURCE_BYTES = 4 * 1024 * 1024;
const MAX_PROOF_BYTES = 64 * 1024;

/** An update as it travels. */
export function encodeUpdate(update: PolicySetUpdate): EncodedUpdate {
  return {
    namespace: update.namespace,
    commits: update.commits.map((envelope) => encodeEnvelope(envelope as DsseEnvelope)),
    full: update.full,
    changes: update.changes.map(({ key, resource }) => ({
      key,
      resource: encodeResource(resource),
    })),
  };
}

/** Reads an update's bytes for `applyUpdate`, which judges it; here only what bytes can be wrong is refused. */
export function decodeUpdate(encoded: {
  readonly namespace: string;
  readonly commits: readonly Uint8Array[];
  readonly full: boolean;
  readonly changes: readonly { readonly key: string; readonly resource: Uint8Array }[];
}): Result<PolicySetUpdate, TrustError> {
  const commits: DsseEnvelope[] = [];
  for (const bytes of encoded.commits) {
    const envelope = decodeEnvelope(bytes);
    if (!envelope.ok) return envelope;
    commits.push(envelope.value);
  }
  const changes: ResourceChange[] = [];
  for (const { key, resource } of encoded.changes) {
    const decoded = decodeResource(resource);
    if (!decoded.ok) return decoded;
    changes.push({ key, resource: decoded.value });
  }
  return ok({ namespace: encoded.namespace, commits, full: encoded.full, changes });
}

/** A lookup's answer as it travels. */
export function encodeAnswer(answer: LookupAnswer): EncodedAnswer {
  return {
    commit: encodeEnvelope(answer.commit),
    resource: encodeResource(answer.resource),
    proof: Buffer.from(JSON.stringify(answer.proof)),
  };
}

/** Reads an answer's bytes for `verifyLookup`, which judges it. */
export function decodeAnswer(
  encoded: EncodedAnswer,
): Result<{ commit: unknown; resource: unknown; proof: unknown }, TrustError> {
  const commit = decodeEnvelope(encoded.commit);
  if (!commit.ok) return commit;
  const resource = decodeResource(encoded.resource);
  if (!resource.ok) return resource;
  if (encoded.proof.length > MAX_PROOF_BYTES) return refuse('too_large', 'a proof is too large');
  const proof = decodeJson(encoded.proof);
  if (!proof.ok) return refuse('malformed', `a proof is ${proof.error}`);
  return ok({ commit: commit.value, resource: resource.value, proof: proof.value.value });
}

function encodeResource(resource: unknown): Uint8Array {
  return resource === undefined ? new Uint8Array() : Buffer.from(canonicalJson(resource));
}

function decodeResource(bytes: Uint8Array): Result<unknown, TrustError> {
  if (bytes.length === 0) return ok(undefined);
  if (bytes.length > MAX_RESOURCE_BYTES) return refuse('too_large', 'a resource is too large');
  const decoded = decodeCanonicalJson(bytes);
  if (!decoded.ok) return refuse('malformed', `a resource is ${decoded.error}`);
  return ok(decoded.value);
}
