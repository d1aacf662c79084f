import type { Bundle, WorkloadIdentity } from '#identity';
import { createCell, fail, type Result, type Scheduler, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { SpiffeWorkloadAPI, type X509SVIDResponse } from '#wire';
import {
  federatedBundles,
  readStoredBundles,
  type SentBundles,
  splitCertificates,
  storedBundles,
} from './federated-bundles.ts';
import { acceptSvid, readPrivateKey, readStoredIdentity, storedIdentity } from './issued-svid.ts';
import type { StateFolder } from './state-folder.ts';
import { followWorkloadStream } from './workload-stream.ts';

/** A workload's identity as the agent keeps it fresh; undefined before the first and after it expired. */
export type WorkloadClient = Source<WorkloadIdentity | undefined> & {
  /** Puts the bundles together anew, since the roots or the trust domains that policy names have changed. */
  readonly reconsider: () => void;
  /** Why there is no identity, in words; undefined if there is one. */
  readonly problem: () => string | undefined;
  readonly close: () => void;
};

/** What a workload client works with. */
export type WorkloadClientOptions = {
  readonly agentSocket: string;
  /** Among several identities the one with this ID is taken, else the first. */
  readonly preferredId: string;
  /** The pinned roots, which alone say whether an SVID is good. */
  readonly bundle: () => Bundle;
  /** Foreign trust domains that verified policy names. */
  readonly federated: () => readonly string[];
  /** Keeps the identity over a restart without an agent. */
  readonly folder: StateFolder;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

const FILE = 'identity.json';

/** Keeps a FetchX509SVID stream to the agent open and takes over every SVID that verifies. */
export function createWorkloadClient(options: WorkloadClientOptions): WorkloadClient {
  const { clock, folder, log } = options;
  const file = folder.readJson(FILE);
  const stored = readStoredIdentity(file, options.bundle(), clock());
  const kept = (file as { readonly federated?: unknown } | undefined)?.federated;
  let sent: SentBundles | undefined;
  const cell = createCell(stored.ok ? withBundles(stored.value) : undefined);
  let problem = 'no identity from the agent yet';

  /** INVARIANT: our own trust domain's bundle is the pinned one, whatever the agent says. */
  function withBundles(identity: WorkloadIdentity): WorkloadIdentity {
    const own = options.bundle();
    const allowed = options.federated();
    const foreign =
      sent === undefined
        ? readStoredBundles(kept, allowed, own.trustDomain)
        : federatedBundles(sent, allowed, own.trustDomain);
    return { ...identity, bundles: [own, ...foreign] };
  }

  function hold(identity: WorkloadIdentity): void {
    const held = withBundles(identity);
    cell.set(held);
    const federated = storedBundles(held.bundles.slice(1));
    folder.writeJson(FILE, { ...storedIdentity(held), federated }).catch((error: unknown) => {
      log.error(EVENT.stateWriteFailed, { file: FILE, error });
    });
  }

  const close = followWorkloadStream(options, SpiffeWorkloadAPI.method.fetchX509SVID, {
    received(response) {
      const accepted = acceptResponse(response, options);
      if (!accepted.ok) {
        problem = `the agent's answer is no identity: ${accepted.error}`;
        log.error(EVENT.identityLost, { reason: problem });
        return false;
      }
      const { id, serial, expiresAt } = accepted.value;
      log.info(EVENT.identityReceived, { spiffeId: id.text, serial, expiresAt });
      sent = response.federatedBundles;
      hold(accepted.value);
      return true;
    },
    lost(reason) {
      problem = `the agent gives no identity: ${reason}`;
    },
  });
  const unexpired = () => {
    const current = cell.current();
    return current !== undefined && current.expiresAt > clock() ? current : undefined;
  };
  return {
    current: unexpired,
    onChange: cell.onChange,
    reconsider() {
      const identity = cell.current();
      if (identity !== undefined) hold(identity);
    },
    problem: () => (unexpired() === undefined ? problem : undefined),
    close,
  };
}

function acceptResponse(
  response: X509SVIDResponse,
  options: WorkloadClientOptions,
): Result<WorkloadIdentity, string> {
  const { preferredId, bundle, clock } = options;
  const preferred = response.svids.find((svid) => svid.spiffeId === preferredId);
  const svid = preferred ?? response.svids[0];
  if (svid === undefined) return fail('it holds none');
  const privateKey = readPrivateKey({
    key: Buffer.from(svid.x509SvidKey),
    format: 'der',
    type: 'pkcs8',
  });
  if (privateKey === undefined) return fail('its key is no PKCS#8 key');
  const chainDer = splitCertificates(svid.x509Svid);
  if (chainDer === undefined) return fail('its chain is malformed');
  return acceptSvid({ chainDer, privateKey, bundle: bundle(), nowMs: clock() });
}
