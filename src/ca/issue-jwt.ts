import { hash, randomUUID } from 'node:crypto';
import { type AttestationStrength, requesterTag, type SpiffeId, signJwtSvid } from '#identity';
import { ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { LogEntry } from '#trust';
import type { IssuanceLog } from './issuance-log.ts';
import type { JwtKeys } from './jwt-keys.ts';
import { type Refusal, refuse } from './refusal.ts';

/** A JWT-SVID that a registration has allowed, to be signed and logged. */
export type JwtGrant = {
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  readonly ttlMs: number;
  readonly selectors: readonly string[];
  readonly attestation: AttestationStrength;
  readonly requestedBy: string;
  readonly allowedBy: string;
  readonly issuer?: string | undefined;
};

/** A JWT-SVID that is in the log. */
export type IssuedJwt = {
  readonly token: string;
  readonly entry: LogEntry;
  /** Of the key document that has the key. */
  readonly keysSequence: number;
};

/** What issuing JWT-SVIDs needs. */
export type IssueJwtOptions = {
  readonly keys: JwtKeys;
  readonly issuanceLog: IssuanceLog;
  readonly clock: () => number;
  readonly log: Log;
};

/** Creates the signing step of JWT-SVIDs. INVARIANT: no token is returned before its entry is on disk. */
export function createIssueJwt(
  options: IssueJwtOptions,
): (grant: JwtGrant) => Promise<Result<IssuedJwt, Refusal>> {
  const { keys, issuanceLog, clock, log } = options;
  return async (grant) => {
    const { token, fields } = sign(keys, grant, clock());
    const keysSequence = keys.sequence();
    try {
      const entry = await issuanceLog.append(fields);
      const { number, spiffeId, serial, requestedBy, allowedBy } = entry;
      const about = { number, spiffe_id: spiffeId, requested_by: requestedBy };
      log.debug(EVENT.jwtSvidIssued, { ...about, serial, allowed_by: allowedBy });
      return ok({ token, entry, keysSequence });
    } catch (error) {
      log.error(EVENT.issuanceLogFailed, { error });
      return refuse('unavailable', 'the issuance log cannot be written, so nothing is issued');
    }
  };
}

function sign(keys: JwtKeys, grant: JwtGrant, nowMs: number) {
  const { id, audience, ttlMs, selectors, requestedBy, allowedBy, issuer } = grant;
  const { key, publishedUntil } = keys.current();
  // A token that outlives its key's publication would be refused all of a sudden.
  const until = Math.min(nowMs + ttlMs, publishedUntil);
  const expiresAtMs = Math.floor(until / 1000) * 1000;
  // 122 random bits (RFC 9562 section 5.4), of which Node.js draws many at a time.
  const serial = randomUUID().replaceAll('-', '');
  const token = signJwtSvid({
    key,
    id,
    audience,
    issuedAt: nowMs,
    expiresAt: expiresAtMs,
    jti: serial,
    issuer,
    requester: requesterTag(requestedBy),
  });
  const fields = {
    timeMs: nowMs,
    spiffeId: id.text,
    serial,
    expiresAtMs,
    selectors,
    attestation: grant.attestation,
    requestedBy,
    allowedBy,
    certificateSha256: hash('sha256', token),
    kind: 'jwt' as const,
    audience,
  };
  return { token, fields };
}
