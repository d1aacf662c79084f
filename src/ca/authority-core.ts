import type { DatabaseSync } from 'node:sqlite';
import { parseTrustDomain } from '#identity';
import { openRevocationStore } from '#revocation';
import { EVENT } from '#telemetry';
import type { TrustRoot } from '#trust';
import { caFolder } from './ca-folder.ts';
import type { CaOptions } from './ca-options.ts';
import { publishCrl } from './crl.ts';
import { listExpiries } from './expiries.ts';
import { openHosts } from './hosts.ts';
import type { CaSecrets } from './initialize.ts';
import { openIssuanceLog } from './issuance-log.ts';
import { createIssue } from './issue.ts';
import { createIssueJwt } from './issue-jwt.ts';
import { openIssuers } from './issuers.ts';
import { openJoinTokenBook } from './join-token-book.ts';
import { openJwtKeys } from './jwt-keys.ts';
import { createKeyStore } from './keys/key-store.ts';
import { meshId } from './mesh-identity.ts';
import { createCaMetrics } from './metrics.ts';
import { createOwnIdentity } from './own-identity.ts';
import { openPolicy } from './policy.ts';
import { openRedactionKeys } from './redaction-keys.ts';
import { createRoots } from './roots.ts';
import { openUpstreamFiles, type Upstream } from './upstream.ts';

/** What an authority finds when it starts. */
export type CaParts = {
  readonly secrets: CaSecrets;
  readonly trustRoot: TrustRoot;
  readonly database: DatabaseSync;
};

/** Keys, policy, log and what is signed with them; no port. */
export type CaCore = ReturnType<typeof createCaCore>;

/** Opens what an authority decides by and acts with; throws where a file is not fit. */
export function createCaCore(options: CaOptions, { secrets, database, trustRoot }: CaParts) {
  const { trustDomain, clock, log } = options;
  const issuanceLog = openIssuanceLog(database);
  const hosts = openHosts(database);
  const policy = openPolicy({ database, trustRoot, clock, log });
  const revocations = openRevocationStore({
    path: caFolder(options.folder).revocations,
    trustRoot: policy.trustRoot,
    log,
  });
  const roots = createRoots(policy);
  const id = meshId(trustDomain, 'ca');
  const issuers = openIssuers({
    folder: options.folder,
    keys: createKeyStore({ passphrase: options.passphrase, device: options.keyDevice }),
    upstream: openUpstream(options),
    isRevoked: (serial) =>
      // Of no name that is revoked, and made after all that is: its serial number alone counts.
      revocations.check.current()({ id, serial, notBefore: Infinity }, clock()) !== undefined,
    trustRoot: policy.trustRoot,
    clock,
    log,
  });
  const issue = createIssue({ issuer: issuers.active, issuanceLog, clock, log });
  const jwtKeys = openJwtKeys({
    path: caFolder(options.folder).jwtKeys,
    passphrase: options.passphrase,
    trustDomain,
    logSigner: secrets.logSigner,
    clock,
    log,
  });
  const issueJwt = createIssueJwt({ keys: jwtKeys, issuanceLog, clock, log });
  const identity = createOwnIdentity({ issue, trustDomain, rootsPem: roots.pem, clock, log });
  const crl = publishCrl({
    path: caFolder(options.folder).crl,
    issuers: issuers.trusted,
    issuanceLog,
    store: revocations,
    clock,
    log,
  });
  const redactionKeys = openRedactionKeys({
    path: caFolder(options.folder).redactionKey,
    passphrase: options.passphrase,
    trustDomain,
    clock,
  });
  const tokenBook = openJoinTokenBook(database);
  const expiries = () =>
    listExpiries({
      issuers: issuers.lives,
      authority: identity.expiresAt,
      jwtKeys: () => jwtKeys.signing(),
      joinTokens: () => tokenBook.waiting(clock()),
    });
  const made = {
    crl,
    expiries,
    issuers,
    issue,
    issueJwt,
    jwtKeys,
    identity,
    tokenBook,
    redactionKeys,
  };
  const metrics = createCaMetrics();
  return { issuanceLog, hosts, policy, revocations, roots, metrics, ...made };
}

function openUpstream({ upstream, trustDomain, clock, log }: CaOptions): Upstream | undefined {
  if (upstream === undefined) return undefined;
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) throw new Error(parsed.error);
  const opened = openUpstreamFiles(upstream, { trustDomain: parsed.value, clock });
  try {
    opened.check();
  } catch (error) {
    // The intermediate that is there is good for days; the upstream may be back before it needs another.
    log.error(EVENT.signingFailed, { error });
  }
  return opened;
}
