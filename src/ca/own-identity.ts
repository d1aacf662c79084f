import {
  BACKDATE_MS,
  createKeyPair,
  decodeSerial,
  derToPem,
  type RevocationCheck,
} from '#identity';
import { EVENT, type Log } from '#telemetry';
import type { TlsMaterial } from '#wire';
import { MESH_TTL_MS } from './enrol.ts';
import type { Issue } from './issue.ts';
import { meshId } from './mesh-identity.ts';

/** The authority's own serving certificate, which it issues to itself like any other. */
export type OwnIdentity = {
  readonly material: () => TlsMaterial;
  readonly serial: () => string;
  /** SHA-256 of the root under which it stands, lower-case hex. */
  readonly root: () => string;
  readonly expiresAt: () => number;
  /** Issues the next certificate once half of the present one's time has passed, or it is of the future; whether it did. */
  readonly renewIfDue: () => boolean;
  /** Issues the next certificate if the present one was revoked. */
  readonly renewIfRevoked: (revoked: RevocationCheck) => boolean;
  /** Issues the next certificate whatever the present one is; whether that could be logged. */
  readonly renew: () => boolean;
};

/** What it takes; `rootsPem` are those of the trust root now. */
export type OwnIdentityOptions = {
  readonly issue: Issue;
  readonly trustDomain: string;
  readonly rootsPem: () => readonly string[];
  readonly clock: () => number;
  readonly log: Log;
};

type Held = {
  readonly material: TlsMaterial;
  readonly serial: string;
  readonly expiresAt: number;
  readonly root: string;
  /** Serial numbers of the intermediates that it is shown with. */
  readonly signers: readonly string[];
};

/** Issues the first certificate; throws if that cannot be logged. */
export function createOwnIdentity(options: OwnIdentityOptions): OwnIdentity {
  let held = renew(options);

  function renewNow(): boolean {
    try {
      held = renew(options);
      options.log.info(EVENT.authorityRenewed, { serial: held.serial });
      return true;
    } catch (error) {
      // The next tick tries again.
      options.log.error(EVENT.issuanceLogFailed, { error });
      return false;
    }
  }

  return {
    material() {
      const rootsPem = options.rootsPem();
      // The same object until something changes: that is how the server knows when to load it again.
      if (rootsPem !== held.material.rootsPem) {
        held = { ...held, material: { ...held.material, rootsPem } };
      }
      return held.material;
    },
    serial: () => held.serial,
    root: () => held.root,
    expiresAt: () => held.expiresAt,
    renewIfDue() {
      const left = held.expiresAt - options.clock();
      // More than a whole life is left where the clock was set back: nobody takes a certificate of the future.
      return left > MESH_TTL_MS / 2 && left <= MESH_TTL_MS + BACKDATE_MS ? false : renewNow();
    },
    renew: renewNow,
    renewIfRevoked(revoked) {
      const { serial, expiresAt, signers } = held;
      const id = meshId(options.trustDomain, 'ca');
      const notBefore = expiresAt - MESH_TTL_MS - BACKDATE_MS;
      const found = revoked({ id, serial, notBefore, signers }, options.clock());
      return found === undefined ? false : renewNow();
    },
  };
}

function renew({ issue, trustDomain, rootsPem }: OwnIdentityOptions): Held {
  const { publicKey, privateKey } = createKeyPair();
  const id = meshId(trustDomain, 'ca');
  const { chain, entry, rootSha256 } = issue.issueNow({
    id,
    publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
    ttlMs: MESH_TTL_MS,
    dnsNames: [],
    selectors: [],
    attestation: 'none',
    requestedBy: id.text,
    allowedBy: 'self',
  });
  return {
    material: {
      chainPem: chain.map((der) => derToPem(der)).join(''),
      privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      rootsPem: rootsPem(),
    },
    serial: entry.serial,
    expiresAt: entry.expiresAtMs,
    root: rootSha256,
    signers: chain.slice(1).map((der) => decodeSerial(der).serial),
  };
}
