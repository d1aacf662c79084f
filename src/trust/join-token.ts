import { randomBytes } from 'node:crypto';
import { ok, type Result } from '#lib';
import { canonicalJson } from './canonical-json.ts';
import { decodeEnvelope, encodeEnvelope, openEnvelope, signEnvelope, signersOf } from './dsse.ts';
import { refuse, type TrustError } from './errors.ts';
import type { PolicySigner } from './policy-key.ts';
import { hasExactly, isInstant, isText } from './shape.ts';
import { CLOCK_SKEW_MS, keysFor, type TrustRoot } from './trust-root.ts';

/** A word of an author's that one host may join, once and soon. */
export type JoinToken = {
  readonly trustDomain: string;
  /** Unique, so that it is used up by being used: 32 hex digits. */
  readonly id: string;
  /** The name that the host's agent gets. */
  readonly host: string;
  /** ISO 8601. */
  readonly expires: string;
};

const JOIN_TOKEN_TYPE = 'application/vnd.palisade.join-token+json';
const PREFIX = 'palisade-join.';
const MAX_TOKEN = 8 * 1024;
/** A join token lives a day at most: it is carried by hand, and whoever sees it can use it. */
export const MAX_JOIN_TOKEN_TTL_MS: number = 24 * 3_600_000;

/** Makes a join token that needs no server: whoever may sign for the root namespace may sign it. */
export function createJoinToken(options: {
  readonly trustDomain: string;
  readonly host: string;
  readonly nowMs: number;
  readonly ttlMs: number;
  readonly signers: readonly PolicySigner[];
}): string {
  const { trustDomain, host, nowMs, ttlMs, signers } = options;
  const expires = new Date(nowMs + ttlMs).toISOString();
  const token: JoinToken = { trustDomain, id: randomBytes(16).toString('hex'), host, expires };
  const envelope = signEnvelope(JOIN_TOKEN_TYPE, canonicalJson(token), signers);
  return PREFIX + Buffer.from(encodeEnvelope(envelope)).toString('base64url');
}

/** Reads a join token that enough of the root namespace's keys signed and that has not expired. */
export function openJoinToken(
  text: string,
  namespace: string,
  trustRoot: TrustRoot,
  nowMs: number,
): Result<JoinToken, TrustError> {
  if (!text.startsWith(PREFIX) || text.length > MAX_TOKEN) {
    return refuse('malformed', 'not a join token');
  }
  const envelope = decodeEnvelope(Buffer.from(text.slice(PREFIX.length), 'base64url'));
  if (!envelope.ok) return envelope;
  const open = openEnvelope(envelope.value, JOIN_TOKEN_TYPE);
  if (!open.ok) return open;
  const signers = signersOf(open.value, keysFor(trustRoot, namespace)).size;
  if (signers < trustRoot.threshold) {
    return refuse('signature_threshold', `${signers} of ${trustRoot.threshold} needed signatures`);
  }
  const token = open.value.payload;
  if (!isJoinToken(token)) return refuse('malformed', 'not a join token');
  if (token.trustDomain !== trustRoot.trustDomain) {
    return refuse('wrong_trust_domain', `the join token is for \`${token.trustDomain}\``);
  }
  const left = Date.parse(token.expires) - nowMs;
  if (left + CLOCK_SKEW_MS <= 0)
    return refuse('expired', `the join token expired at ${token.expires}`);
  // SECURITY: a token for years would be a password.
  if (left > MAX_JOIN_TOKEN_TTL_MS + CLOCK_SKEW_MS) {
    return refuse('malformed', 'the join token lives longer than a day');
  }
  return ok(token);
}

function isJoinToken(value: unknown): value is JoinToken {
  return (
    hasExactly(value, ['trustDomain', 'id', 'host', 'expires']) &&
    isText(value['trustDomain'], 255) &&
    isText(value['id'], 64) &&
    /^[0-9a-f]{32}$/.test(value['id']) &&
    isText(value['host'], 128) &&
    /^[A-Za-z0-9._-]+$/.test(value['host']) &&
    isInstant(value['expires'])
  );
}
