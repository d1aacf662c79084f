import { randomBytes } from 'node:crypto';
import {
  type AttestationStrength,
  BACKDATE_MS,
  type Issuer,
  issueX509Svid,
  issueX509SvidLater,
  requesterTag,
  type SpiffeId,
  type SvidOptions,
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
  /** DER, leaf first, without the root. */
  readonly chain: readonly Uint8Array[];
  readonly entry: LogEntry;
  /** Of the root that it stands under. */
  readonly rootSha256: string;
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
      const signed = await trySigning(options, grant);
      if (!signed.ok) return signed;
      const { der, fields, by } = signed.value;
      try {
        const entry = await issuanceLog.append(fields);
        log.info(EVENT.certificateIssued, logged(entry));
        return ok(issued(der, entry, by));
      } catch (error) {
        log.error(EVENT.issuanceLogFailed, { error });
        return refuse('unavailable', 'the issuance log cannot be written, so nothing is issued');
      }
    },
    issueNow(grant) {
      const by = issuer();
      const { options: svid, fields } = prepare(by, grant, clock());
      const der = issueX509Svid(svid);
      const entry = issuanceLog.appendNow({ ...fields, certificateSha256: certificateDigest(der) });
      log.info(EVENT.certificateIssued, logged(entry));
      return issued(der, entry, by);
    },
  };
}

async function trySigning(
  { issuer, clock, log }: IssueOptions,
  grant: Grant,
): Promise<
  Result<{ readonly der: Uint8Array; readonly fields: LogFields; readonly by: Issuer }, Refusal>
> {
  try {
    const by = issuer();
    const { options, fields } = prepare(by, grant, clock());
    const der = await issueX509SvidLater(options);
    return ok({ der, fields: { ...fields, certificateSha256: certificateDigest(der) }, by });
  } catch (error) {
    // A key device that is away, or an intermediate that expired: it may be better in a moment.
    log.error(EVENT.signingFailed, { error });
    return refuse('unavailable', "the authority's key cannot sign now");
  }
}

function issued(der: Uint8Array, entry: LogEntry, by: Issuer): IssuedSvid {
  return { chain: [der, ...by.intermediates], entry, rootSha256: certificateDigest(by.rootDer) };
}

function prepare(
  issuer: Issuer,
  grant: Grant,
  nowMs: number,
): { readonly options: SvidOptions; readonly fields: Omit<LogFields, 'certificateSha256'> } {
  const serial = createSerial();
  // Nothing verifies for longer than what it stands under. X.509 has seconds; the log names the instant that it does.
  const until = Math.min(nowMs + grant.ttlMs, issuer.expiresAt);
  const expiresAt = Math.floor(until / 1000) * 1000;
  const { id, publicKeyDer, dnsNames, attestation, requestedBy, allowedBy, selectors } = grant;
  const options = {
    issuer,
    id,
    publicKeyDer,
    serial,
    notBefore: nowMs - BACKDATE_MS,
    expiresAt,
    dnsNames,
    attestation,
    ...(requestedBy === '' ? {} : { requester: requesterTag(requestedBy) }),
  };
  const fields = {
    timeMs: nowMs,
    spiffeId: id.text,
    serial: Buffer.from(serial).toString('hex'),
    expiresAtMs: expiresAt,
    selectors,
    attestation,
    requestedBy,
    allowedBy,
  };
  return { options, fields };
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
