import { randomBytes } from 'node:crypto';
import {
  type AttestationStrength,
  BACKDATE_MS,
  type Issuer,
  issueX509Svid,
  requesterTag,
  type SpiffeId,
} from '#identity';
import { ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { LogEntry, LogFields } from '#trust';
import { certificateDigest, type IssuanceLog } from './issuance-log.ts';
import { type Refusal, refuse } from './refusal.ts';

/** A certificate that something has allowed, to be signed and logged. */
export type Grant = {
  readonly id: SpiffeId;
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
  readonly ttlMs: number;
  readonly dnsNames: readonly string[];
  readonly selectors: readonly string[];
  /** What the identity stands on: the strongest of what vouches for it. */
  readonly attestation: AttestationStrength;
  readonly requestedBy: string;
  readonly allowedBy: string;
};

/** A certificate that is in the log. */
type IssuedSvid = {
  readonly der: Uint8Array;
  readonly entry: LogEntry;
  /** Of the issuer's certificate. */
  readonly issuerSha256: string;
};

/** Signs grants; the only place that uses the authority's key. */
export type Issue = {
  readonly issue: (grant: Grant) => Promise<Result<IssuedSvid, Refusal>>;
  /** For the authority's own certificate, before anybody is served; throws if it cannot be logged. */
  readonly issueNow: (grant: Grant) => IssuedSvid;
};

/** What issuing needs. */
export type IssueOptions = {
  /** The issuer of now. */
  readonly issuer: () => Issuer;
  readonly issuanceLog: IssuanceLog;
  readonly clock: () => number;
  readonly log: Log;
};

/** Creates the signing step. INVARIANT: no certificate is returned before its entry is on disk. */
export function createIssue(options: IssueOptions): Issue {
  const { issuer, issuanceLog, clock, log } = options;
  return {
    async issue(grant) {
      const by = issuer();
      const { der, fields } = sign(by, grant, clock());
      try {
        const entry = await issuanceLog.append(fields);
        log.info(EVENT.certificateIssued, logged(entry));
        return ok({ der, entry, issuerSha256: certificateDigest(by.certificateDer) });
      } catch (error) {
        log.error(EVENT.issuanceLogFailed, { error });
        return refuse('unavailable', 'the issuance log cannot be written, so nothing is issued');
      }
    },
    issueNow(grant) {
      const by = issuer();
      const { der, fields } = sign(by, grant, clock());
      const entry = issuanceLog.appendNow(fields);
      log.info(EVENT.certificateIssued, logged(entry));
      return { der, entry, issuerSha256: certificateDigest(by.certificateDer) };
    },
  };
}

function sign(
  issuer: Issuer,
  grant: Grant,
  nowMs: number,
): { readonly der: Uint8Array; readonly fields: LogFields } {
  const serial = createSerial();
  // X.509 has seconds; the log names the instant that the certificate does.
  const expiresAt = Math.floor((nowMs + grant.ttlMs) / 1000) * 1000;
  const { id, publicKeyDer, dnsNames } = grant;
  const der = issueX509Svid({
    issuer,
    id,
    publicKeyDer,
    serial,
    notBefore: nowMs - BACKDATE_MS,
    expiresAt,
    dnsNames,
    attestation: grant.attestation,
    ...(grant.requestedBy === '' ? {} : { requester: requesterTag(grant.requestedBy) }),
  });
  const fields = {
    timeMs: nowMs,
    spiffeId: id.text,
    serial: Buffer.from(serial).toString('hex'),
    expiresAtMs: expiresAt,
    selectors: grant.selectors,
    attestation: grant.attestation,
    requestedBy: grant.requestedBy,
    allowedBy: grant.allowedBy,
    certificateSha256: certificateDigest(der),
  };
  return { der, fields };
}

// RFC 5280 section 4.1.2.2: positive; 126 random bits never repeat by accident.
function createSerial(): Uint8Array {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

function logged(entry: LogEntry): Record<string, unknown> {
  const { number, spiffeId, serial, requestedBy, allowedBy } = entry;
  return { number, spiffe_id: spiffeId, serial, requested_by: requestedBy, allowed_by: allowedBy };
}
