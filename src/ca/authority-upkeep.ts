import { EVENT, type Log } from '#telemetry';
import { activeRevocations } from '#trust';
import type { GrpcServer } from '#wire';
import type { CaCore } from './authority-core.ts';
import type { CaOptions } from './ca-options.ts';
import type { Caller } from './caller.ts';
import type { PolicySubscription } from './subscribe.ts';

const RENEWAL_CHECK_MS = 30_000;

/** Takes in what was imported, and renews; a device or an upstream that is away must not end the authority. */
export function refreshIssuers({ issuers }: CaCore, log: Log): void {
  try {
    issuers.refresh();
  } catch (error) {
    // What it has is good for a while.
    log.error(EVENT.signingFailed, { error });
  }
}

/** Keeps a running authority by what time, revocations and the trust root make of it; returns how to stop. */
export function keepUp(
  { clock, log }: CaOptions,
  core: CaCore,
  of: {
    readonly server: GrpcServer<Caller>;
    readonly subscription: PolicySubscription | undefined;
    readonly keepClock: () => void;
  },
): () => void {
  const { identity, revocations } = core;
  const { server, subscription } = of;
  const tainted = followTaint(core, log);
  const renewal = setInterval(() => {
    try {
      of.keepClock();
    } catch (error) {
      // It is kept half a minute later, or the log of certificates cannot be written either.
      log.error(EVENT.failed, { what: 'own clock', error });
    }
    refreshIssuers(core, log);
    refreshCrl(core, log);
    tainted.retire();
    const isRenewed = identity.renewIfDue() || identity.renewIfRevoked(revocations.check.current());
    if (isRenewed) subscription?.reconnect();
  }, RENEWAL_CHECK_MS);
  const stopWatching = revocations.check.onChange((revoked) => {
    // Where it was our intermediate that was revoked, its successor is there before anybody asks for a certificate.
    refreshIssuers(core, log);
    server.disconnect(
      (caller) => caller.kind === 'identified' && revoked(caller.svid, clock()) !== undefined,
    );
    if (identity.renewIfRevoked(revoked)) subscription?.reconnect();
  });
  const stopRotating = followRotation(core, log, () => subscription?.reconnect());
  return () => {
    clearInterval(renewal);
    stopWatching();
    tainted.stop();
    stopRotating();
  };
}

/** There may be other issuers, of which outsiders want lists; there may be none for a while. */
function refreshCrl({ crl }: CaCore, log: Log): void {
  try {
    crl.refresh();
  } catch (error) {
    log.error(EVENT.crlFailed, { error });
  }
}

/** With another root first in the trust root, our own certificate stands under that one. */
function followRotation(core: CaCore, log: Log, onRenewed: () => void): () => void {
  const { policy, issuers, identity } = core;
  let trustRoot = policy.trustRoot();
  return policy.onChange(() => {
    if (policy.trustRoot() === trustRoot) return;
    const before = trustRoot;
    trustRoot = policy.trustRoot();
    try {
      issuers.settle();
    } catch (error) {
      // A disk that is full or a device that is away: tried again with each refresh, and no reason to stay under the old root.
      log.error(EVENT.signingFailed, { error });
    }
    refreshCrl(core, log);
    if (before.x509Roots[0] !== trustRoot.x509Roots[0] && identity.renew()) onRenewed();
  });
}

/**
 * Whoever revokes all that was issued so far does not trust the keys any more: those of JWT-SVIDs go too, also where the
 * revocation came while this authority was down.
 */
function followTaint(
  { revocations, jwtKeys }: CaCore,
  log: Log,
): { readonly retire: () => void; readonly stop: () => void } {
  const retire = () => {
    const instants = activeRevocations(revocations.all()).flatMap(({ target }) =>
      target.kind === 'all' ? [Date.parse(target.issuedBefore)] : [],
    );
    try {
      if (instants.length > 0) jwtKeys.retireMadeBefore(Math.max(...instants));
    } catch (error) {
      // A full disk: tried again with each look, and the revocation is told and kept all the same.
      log.error(EVENT.stateWriteFailed, { file: 'jwt-keys.json', error });
    }
  };
  retire();
  return { retire, stop: revocations.check.onChange(retire) };
}
