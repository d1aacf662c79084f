import { hash } from 'node:crypto';
import { ok, type Result } from '#lib';
import { canonicalJson } from './canonical-json.ts';
import { type DsseEnvelope, openEnvelope, signEnvelope, signersOf } from './dsse.ts';
import { refuse, type TrustError, TrustPromiseError } from './errors.ts';
import { openPublicKey, type PolicySigner } from './policy-key.ts';
import { hasExactly, isCount, isDigest, isInstant, isRecord, isText } from './shape.ts';
import { keysFor, type TrustRoot } from './trust-root.ts';

/** What a revocation takes the validity from. Instants are ISO 8601, UTC, milliseconds. */
export type RevocationTarget =
  /** Every credential of a SPIFFE ID, or those issued before an instant. */
  | { readonly kind: 'identity'; readonly id: string; readonly issuedBefore: string | null }
  /** One certificate by its serial number in lower-case hex, or one JWT by its `jti`. */
  | { readonly kind: 'serial'; readonly serial: string }
  /** An agent's own certificates and whatever it asked for on behalf of its workloads. */
  | { readonly kind: 'agent'; readonly id: string; readonly issuedBefore: string | null }
  /** Every credential of the trust domain issued before an instant. */
  | { readonly kind: 'all'; readonly issuedBefore: string };

/** What an entry does. `until` ends a revocation by itself; a lift names the hash of the entry that it undoes. */
export type RevocationAct =
  | { readonly kind: 'revoke'; readonly reason: string; readonly until: string | null }
  | { readonly kind: 'lift'; readonly reason: string; readonly revocation: string };

/** One entry of a signer's own chain. */
export type Revocation = {
  readonly trustDomain: string;
  /** Id of the key whose chain this is, and which signed it. */
  readonly issuer: string;
  /** From 1, without gaps, within the chain. */
  readonly number: number;
  /** Hash of the chain's entry before; null for number 1. */
  readonly parent: string | null;
  readonly author: string;
  readonly time: string;
  readonly target: RevocationTarget;
  readonly act: RevocationAct;
};

/** An entry that was verified, with its hash (lower-case hex) and the envelope it came in. */
export type VerifiedRevocation = {
  readonly hash: string;
  readonly revocation: Revocation;
  readonly envelope: DsseEnvelope;
};

/** DSSE's payload type of an entry. */
const REVOCATION_TYPE = 'application/vnd.palisade.revocation+json';
const MEMBERS = [
  'trustDomain',
  'issuer',
  'number',
  'parent',
  'author',
  'time',
  'target',
  'act',
] as const;
const MAX_ID = 2048;

/** Signs the next entry of a chain. Throws `TrustPromiseError` for one that nobody could accept. */
export function signRevocation(
  revocation: Revocation,
  signers: readonly PolicySigner[],
): DsseEnvelope {
  const checked = parseRevocation(revocation);
  if (!checked.ok) throw new TrustPromiseError(checked.error.code, checked.error.message);
  return signEnvelope(REVOCATION_TYPE, canonicalJson(revocation), signers);
}

/** The hash by which an envelope's entry is known, if it has the shape of one; nothing is verified. */
export function revocationHash(envelope: unknown): Result<string, TrustError> {
  const open = openEnvelope(envelope, REVOCATION_TYPE);
  return open.ok ? ok(hash('sha256', open.value.signedBytes, 'hex')) : open;
}

/**
 * The entry in an envelope if it may be believed. To revoke takes one key that may sign for what is revoked, or the
 * authority's; to lift takes as many authors as a change of policy would.
 * SECURITY: taking validity away must be quick and possible for anybody in charge; giving it back is a grant.
 */
export function verifyRevocation(
  envelope: unknown,
  trustRoot: TrustRoot,
): Result<VerifiedRevocation, TrustError> {
  const open = openEnvelope(envelope, REVOCATION_TYPE);
  if (!open.ok) return open;
  const parsed = parseRevocation(open.value.payload);
  if (!parsed.ok) return parsed;
  const revocation = parsed.value;
  const about = {
    number: revocation.number,
    hash: hash('sha256', open.value.signedBytes, 'hex'),
  };
  if (revocation.trustDomain !== trustRoot.trustDomain) {
    const message = `a revocation for trust domain \`${revocation.trustDomain}\``;
    return refuse('wrong_trust_domain', message, about);
  }
  const authors = keysFor(trustRoot, scopeOf(revocation.target, trustRoot.trustDomain));
  const authority = openPublicKey(trustRoot.issuanceLogKey);
  const isLift = revocation.act.kind === 'lift';
  const may = isLift || !authority.ok ? authors : [...authors, authority.value];
  const signers = signersOf(open.value, may);
  const needed = isLift ? trustRoot.threshold : 1;
  if (!signers.has(revocation.issuer) || signers.size < needed) {
    const message = `${signers.size} of ${needed} needed signatures by keys that may ${revocation.act.kind} this`;
    return refuse('signature_threshold', message, about);
  }
  return ok({ hash: about.hash, revocation, envelope: open.value.envelope });
}

/** The namespace whose authors may revoke a target; `*` where only those of the whole mesh may. */
function scopeOf(target: RevocationTarget, trustDomain: string): string {
  if (target.kind !== 'identity') return '*';
  const prefix = `spiffe://${trustDomain}/ns/`;
  if (!target.id.startsWith(prefix)) return '*';
  return target.id.slice(prefix.length).split('/')[0] ?? '*';
}

function parseRevocation(value: unknown): Result<Revocation, TrustError> {
  const bad = (message: string) => refuse('malformed', `revocation: ${message}`);
  if (!hasExactly(value, MEMBERS)) return bad('members are missing or unknown');
  const { number, parent } = value;
  if (!isText(value['trustDomain'], 255)) return bad('`trustDomain` is no text');
  if (!isDigest(value['issuer'])) return bad('`issuer` is not the id of a key');
  if (!isCount(number, 1)) return bad('`number` is not a whole number from 1');
  if (!(number === 1 ? parent === null : isDigest(parent))) {
    return bad('`parent` is not the hash of the entry before');
  }
  if (!isText(value['author'], 320)) return bad('`author` is no text');
  if (!isInstant(value['time'])) return bad('`time` is not an instant');
  if (!isTarget(value['target'])) return bad('`target` is not one');
  if (!isAct(value['act'])) return bad('`act` is not one');
  return ok(value as unknown as Revocation);
}

function isTarget(value: unknown): boolean {
  if (!isRecord(value)) return false;
  switch (value['kind']) {
    case 'identity':
    case 'agent':
      return (
        hasExactly(value, ['kind', 'id', 'issuedBefore']) &&
        isText(value['id'], MAX_ID) &&
        value['id'].startsWith('spiffe://') &&
        isInstantOrNull(value['issuedBefore'])
      );
    case 'serial':
      return (
        hasExactly(value, ['kind', 'serial']) &&
        isText(value['serial'], 128) &&
        /^[\x21-\x7e]+$/.test(value['serial'])
      );
    case 'all':
      return hasExactly(value, ['kind', 'issuedBefore']) && isInstant(value['issuedBefore']);
    default:
      return false;
  }
}

function isAct(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const isReason = typeof value['reason'] === 'string' && value['reason'].length <= 1000;
  if (value['kind'] === 'revoke') {
    return (
      isReason && hasExactly(value, ['kind', 'reason', 'until']) && isInstantOrNull(value['until'])
    );
  }
  if (value['kind'] !== 'lift') return false;
  return (
    isReason && hasExactly(value, ['kind', 'reason', 'revocation']) && isDigest(value['revocation'])
  );
}

function isInstantOrNull(value: unknown): boolean {
  return value === null || isInstant(value);
}
