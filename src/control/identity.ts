import {
  type Bundle,
  createCsr,
  createKeyPair,
  derToPem,
  type RevocationCheck,
  type SpiffeId,
  verifyX509Svid,
} from '#identity';
import { createBackoff, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  createGrpcClient,
  type GrpcClient,
  Issuance,
  type TlsMaterial,
  type X509SvidResponse,
} from '#wire';
import type { TrustAnchor } from './trust-root-file.ts';

/** The control plane's own certificate, renewed for as long as the process lives. */
export type ControlIdentity = {
  /** The same object until it is renewed. */
  readonly material: () => TlsMaterial;
  readonly serial: () => string;
  /** Since when the present certificate is good, Unix milliseconds. */
  readonly notBefore: () => number;
  readonly expiresAt: () => number;
  /** A client of the CA under the present certificate; the caller closes it. */
  readonly caClient: () => GrpcClient;
  readonly onRenewed: (listener: (material: TlsMaterial) => void) => void;
  readonly close: () => void;
};

/** What it takes to be enrolled; `caAddress` is `host:port`, times in ms. */
export type IdentityOptions = {
  readonly id: SpiffeId;
  readonly caId: SpiffeId;
  readonly caAddress: string;
  /** Asked at each attempt: the CA's first start may come after ours. */
  readonly joinToken: () => string | Promise<string>;
  /** The pinned roots, the one to stand under first; others once authors signed a successor. */
  readonly trust: { readonly bundle: Bundle; readonly onChange?: TrustAnchor['onChange'] };
  readonly revocations: Source<RevocationCheck>;
  readonly clock: () => number;
  readonly log: Log;
  /** Aborting it ends the wait for the CA. */
  readonly signal?: AbortSignal;
};

type Held = {
  readonly material: TlsMaterial;
  readonly chainDer: readonly Uint8Array[];
  readonly serial: string;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly signers?: readonly string[] | undefined;
};

const RETRY_MS = 1_000;
const MAX_TIMER_MS = 24 * 3_600_000;

/** Enrols at the CA, trying again until it answers; the log says what it waits for. */
export async function enrolControl(options: IdentityOptions): Promise<ControlIdentity> {
  let held = await persist(options, EVENT.controlEnrolFailed, () => enrol(options));
  options.log.info(EVENT.controlEnrolled, { serial: held.serial });
  const listeners: ((material: TlsMaterial) => void)[] = [];
  const ended = new AbortController();
  const loop = { ...options, signal: ended.signal };
  void keepRenewed();

  async function keepRenewed(): Promise<void> {
    while (!ended.signal.aborted) {
      const isOver = () => isRevoked(options, held) || isForeign(options, held);
      const due = isOver() ? RETRY_MS : renewalDelayMs(held, options.clock());
      const changed = new AbortController();
      const look = () => {
        if (isOver()) changed.abort();
      };
      const stops = [options.revocations.onChange(look), options.trust.onChange?.(look)];
      await sleep(due, AbortSignal.any([ended.signal, changed.signal]));
      for (const stop of stops) stop?.();
      if (ended.signal.aborted) return;
      try {
        held = await persist(loop, EVENT.controlRenewFailed, () => renew(options, held));
      } catch {
        // Only closing ends the attempts.
        return;
      }
      options.log.info(EVENT.controlRenewed, { serial: held.serial });
      for (const listener of listeners) listener(held.material);
    }
  }

  return {
    material: () => held.material,
    serial: () => held.serial,
    notBefore: () => held.notBefore,
    expiresAt: () => held.expiresAt,
    caClient: () => caClient(options, held.material),
    onRenewed: (listener) => listeners.push(listener),
    close: () => ended.abort(),
  };
}

async function persist(
  { caAddress, log, signal }: IdentityOptions,
  failed: string,
  attempt: () => Promise<Held>,
): Promise<Held> {
  const backoff = createBackoff({ minMs: 100, maxMs: 5_000 });
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      log.warn(failed, { address: caAddress, error });
    }
    await sleep(backoff.nextMs(), signal);
    if (signal?.aborted === true)
      throw new Error('closed while waiting for the certificate authority');
  }
}

async function enrol(options: IdentityOptions): Promise<Held> {
  const joinToken = await options.joinToken();
  return request(options, undefined, (client, csr) =>
    client.unary(Issuance.method.enrol, { joinToken, csr }),
  );
}

function isRevoked({ id, revocations, clock }: IdentityOptions, held: Held): boolean {
  return revocations.current()({ ...held, id }, clock()) !== undefined;
}

/** Whether it stands under another root than the first one, which is the one issued under. */
function isForeign({ trust, clock }: IdentityOptions, { chainDer }: Held): boolean {
  const { trustDomain, x509Roots } = trust.bundle;
  const first = { trustDomain, x509Roots: x509Roots.slice(0, 1) };
  return !verifyX509Svid(chainDer, first, clock()).ok;
}

// A certificate that ran out while the CA was away cannot renew itself: enrolment is the way back.
async function renew(options: IdentityOptions, held: Held): Promise<Held> {
  if (options.clock() >= held.expiresAt || isRevoked(options, held)) return enrol(options);
  return request(options, held.material, (client, csr) =>
    client.unary(Issuance.method.issueX509Svid, { csr, selectors: [] }),
  );
}

async function request(
  options: IdentityOptions,
  present: TlsMaterial | undefined,
  ask: (client: GrpcClient, csr: Uint8Array) => Promise<X509SvidResponse>,
): Promise<Held> {
  const keys = createKeyPair();
  const csr = createCsr({ ...keys, id: options.id });
  const client = caClient(options, present);
  try {
    const { chain } = await ask(client, csr);
    // SECURITY: whatever answered, only a certificate of our own name under the pinned roots is taken.
    const svid = verifyX509Svid(chain, options.trust.bundle, options.clock());
    if (!svid.ok) throw new Error(`the certificate issued is not valid: ${svid.error.message}`);
    if (svid.value.id.text !== options.id.text)
      throw new Error('the certificate issued is not ours');
    const { serial, notBefore, expiresAt, signers } = svid.value;
    const material = {
      chainPem: chain.map((der) => derToPem(der)).join(''),
      privateKeyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      rootsPem: rootsPem(options.trust.bundle),
    };
    return { material, serial, notBefore, expiresAt, signers, chainDer: chain };
  } finally {
    client.close();
  }
}

function caClient(
  { caAddress, trust, caId, clock, revocations }: IdentityOptions,
  client: TlsMaterial | undefined,
): GrpcClient {
  return createGrpcClient(Issuance, {
    kind: 'tls',
    address: caAddress,
    rootsPem: rootsPem(trust.bundle),
    ...(client === undefined ? {} : { client }),
    verifyServer(chain) {
      const svid = verifyX509Svid(chain, trust.bundle, clock());
      if (!svid.ok) return svid.error.message;
      const revoked = revocations.current()(svid.value, clock());
      if (revoked !== undefined) return revoked.message;
      return svid.value.id.text === caId.text ? undefined : `\`${caAddress}\` is not the authority`;
    },
  });
}

function rootsPem(bundle: Bundle): string[] {
  return bundle.x509Roots.map((root) => derToPem(root.raw));
}

/** Half of the certificate's life, give or take a tenth, so that a mesh started at once does not renew at once. */
function renewalDelayMs({ notBefore, expiresAt }: Held, nowMs: number): number {
  const life = expiresAt - notBefore;
  const due = notBefore + life / 2 + (Math.random() - 0.5) * 0.2 * life;
  return Math.min(Math.max(due - nowMs, 1_000), MAX_TIMER_MS);
}

/** Resolves after `ms`, or at once when `signal` is aborted. */
function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}
