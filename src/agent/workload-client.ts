import { Metadata } from '@grpc/grpc-js';
import type { Bundle, WorkloadIdentity } from '#identity';
import { createBackoff, createCell, fail, type Result, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { createGrpcClient, SpiffeWorkloadAPI, type X509SVID, type X509SVIDResponse } from '#wire';
import { acceptSvid, readPrivateKey, readStoredIdentity, storedIdentity } from './issued-svid.ts';
import type { StateFolder } from './state-folder.ts';
import type { Scheduler } from './timer.ts';

/** A workload's identity as the agent keeps it fresh; undefined before the first and after it expired. */
export type WorkloadClient = Source<WorkloadIdentity | undefined> & {
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
  /** Keeps the identity over a restart without an agent. */
  readonly folder: StateFolder;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

const FILE = 'identity.json';
const RETRY = { minMs: 50, maxMs: 2_000 };

/** Keeps a FetchX509SVID stream to the agent open and takes over every SVID that verifies. */
export function createWorkloadClient(options: WorkloadClientOptions): WorkloadClient {
  const { clock, folder, log, scheduler } = options;
  const stored = readStoredIdentity(folder.readJson(FILE), options.bundle(), clock());
  const cell = createCell(stored.ok ? stored.value : undefined);
  const client = createGrpcClient(SpiffeWorkloadAPI, { kind: 'unix', path: options.agentSocket });
  const backoff = createBackoff(RETRY, options.random);
  let problem = 'no identity from the agent yet';
  let isClosed = false;
  let cancel = () => {};
  let stream: { cancel: () => void } | undefined;

  function received(response: X509SVIDResponse): void {
    const accepted = acceptResponse(response, options);
    if (!accepted.ok) {
      problem = `the agent's answer is no identity: ${accepted.error}`;
      log.error(EVENT.identityLost, { reason: problem });
      return;
    }
    backoff.reset();
    const { id, serial, expiresAt } = accepted.value;
    log.info(EVENT.identityReceived, { spiffeId: id.text, serial, expiresAt });
    cell.set(accepted.value);
    folder.writeJson(FILE, storedIdentity(accepted.value)).catch((error: unknown) => {
      log.error(EVENT.stateWriteFailed, { file: FILE, error });
    });
  }

  function connect(): void {
    const metadata = new Metadata();
    // SPIFFE Workload Endpoint 6: proves that no browser was tricked into the call.
    metadata.set('workload.spiffe.io', 'true');
    const call = client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, metadata);
    stream = call;
    let isOver = false;
    const again = (reason: string) => {
      if (isOver || isClosed) return;
      isOver = true;
      problem = `the agent gives no identity: ${reason}`;
      log.debug(EVENT.identityLost, { reason });
      cancel = scheduler.after(backoff.nextMs(), connect);
    };
    call.on('data', received);
    call.on('error', (error) => again(error.message));
    call.on('end', () => again('the stream ended'));
  }

  const unexpired = () => {
    const current = cell.current();
    return current !== undefined && current.expiresAt > clock() ? current : undefined;
  };
  connect();
  return {
    current: unexpired,
    onChange: cell.onChange,
    problem: () => (unexpired() === undefined ? problem : undefined),
    close() {
      isClosed = true;
      cancel();
      stream?.cancel();
      client.close();
    },
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
  const chainDer = splitCertificates(svid);
  if (chainDer === undefined) return fail('its chain is malformed');
  return acceptSvid({ chainDer, privateKey, bundle: bundle(), nowMs: clock() });
}

/** Splits concatenated DER certificates by their outer lengths (SPIFFE Workload API 5.2.1). */
function splitCertificates(svid: X509SVID): readonly Uint8Array[] | undefined {
  const bytes = svid.x509Svid;
  const certificates: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = derLength(bytes.subarray(at));
    if (length === undefined || at + length > bytes.length) return undefined;
    certificates.push(bytes.subarray(at, at + length));
    at += length;
  }
  return certificates;
}

/** The whole length of the SEQUENCE that `bytes` begins with; certificates take two or three length bytes. */
function derLength(bytes: Uint8Array): number | undefined {
  const [tag, first = 0, second = 0, third = 0] = bytes;
  if (tag !== 0x30) return undefined;
  if (first < 0x80) return 2 + first;
  if (first === 0x81) return 3 + second;
  if (first === 0x82) return 4 + second * 256 + third;
  return undefined;
}
