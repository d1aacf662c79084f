import type { KeyObject } from 'node:crypto';
import {
  createCsr,
  createKeyPair,
  parseSpiffeId,
  type RevocationCheck,
  type SpiffeId,
  type WorkloadIdentity,
} from '#identity';
import {
  type Cell,
  createBackoff,
  createCell,
  fail,
  type Result,
  type Scheduler,
  type Source,
} from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { X509SvidResponse } from '#wire';
import type { CertificateAuthority } from './certificate-authority.ts';
import { ownCertificateEvidence } from './evidence/certificate.ts';
import type { CertificateRequest } from './evidence/converse.ts';
import type { EvidenceSource } from './evidence/evidence-source.ts';
import {
  acceptSvid,
  readStoredIdentity,
  type StoredIdentity,
  storedIdentity,
} from './issued-svid.ts';
import { renewalTime } from './renewal.ts';
import type { StateFolder } from './state-folder.ts';
import { whenClockSays } from './timer.ts';
import { isStanding, isUnderFirstRoot, type X509Trust } from './trusted-root.ts';

/** The agent's own identity, renewed for as long as it lives. */
export type AgentIdentity = Source<WorkloadIdentity | undefined> & {
  /**
   * What the authority has just issued although this agent knows of a revocation that says otherwise: nothing to serve or to
   * listen by, but the authority can be asked with it whether that was lifted.
   */
  readonly doubted: () => WorkloadIdentity | undefined;
  /** What the authority knows of this host, for registrations that ask for it. */
  readonly hostSelectors: () => readonly string[];
  /** Stops renewing. */
  readonly close: () => void;
};

/** What the agent's identity is made of. */
export type AgentIdentityOptions = {
  readonly folder: StateFolder;
  readonly spiffeId: string;
  /** The pinned roots now. */
  readonly trust: () => X509Trust;
  readonly authority: Pick<CertificateAuthority, 'enrol' | 'attest' | 'issue'>;
  /** Asked at each attempt: the CA's first start may come after ours. */
  readonly joinToken: () => string | Promise<string>;
  readonly revocations: Source<RevocationCheck>;
  /** Tells when the roots are others. */
  readonly trusts?: Pick<Source<X509Trust>, 'onChange'>;
  /** How this host proves itself; by the mesh's own join token where absent. */
  readonly evidence?: EvidenceSource | undefined;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

type LastIdentity = StoredIdentity & { readonly hostSelectors: readonly string[] };

const FILE = 'identity.json';
const RETRY = { minMs: 200, maxMs: 30_000 };

/** Loads the identity of an earlier run or enrols, and renews at half life; retries with jitter for ever. */
export function createAgentIdentity(options: AgentIdentityOptions): AgentIdentity {
  const { folder, trust, clock, log } = options;
  const id = parseSpiffeId(options.spiffeId);
  if (!id.ok) throw new RangeError(`the agent's SPIFFE ID: ${id.error}`);
  const onDisk = folder.readJson(FILE);
  const stored = readStoredIdentity(onDisk, trust().bundle, clock());
  const isOwn = stored.ok && stored.value.id.text === options.spiffeId;
  const cell = createCell(isOwn ? stored.value : undefined);
  const renewing = new Renewing(options, { id: id.value, cell, last: readLastIdentity(onDisk) });
  renewing.schedule();
  // SECURITY: a revoked certificate renews nothing; the agent has to attest again, by its join token.
  const stops = [
    options.revocations.onChange(() => renewing.renewIfUnusable()),
    options.trusts?.onChange(() => renewing.renewIfUnusable()),
  ];
  return {
    current: () => usable(cell.current(), options),
    onChange: cell.onChange,
    doubted: () => renewing.doubted(),
    hostSelectors: () => renewing.hostSelectors(),
    close: () => {
      for (const stop of stops) stop?.();
      renewing.close();
      log.debug(EVENT.stopping);
    },
  };
}

/** A certificate and its new key, asked for by `request`. */
export async function requestSvid(options: {
  readonly id: SpiffeId;
  /** The pinned roots now. */
  readonly trust: () => X509Trust;
  readonly clock: () => number;
  readonly request: (request: CertificateRequest) => Promise<X509SvidResponse>;
}): Promise<Result<WorkloadIdentity, string>> {
  const { id, trust, clock } = options;
  const { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject } =
    createKeyPair();
  try {
    const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
    const csr = createCsr({ privateKey, publicKey: publicKeyDer, id });
    const response = await options.request({ csr, publicKeyDer });
    const accepted = acceptSvid({
      chainDer: response.chain,
      privateKey,
      publicKeyDer,
      bundle: trust().bundle,
      nowMs: clock(),
    });
    if (accepted.ok && accepted.value.id.text !== id.text) {
      return fail(`the authority answered with the identity \`${accepted.value.id.text}\``);
    }
    return accepted;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

/** Why a certificate that was issued a moment ago is of no use. */
export function uselessBecause({ expiresAt }: WorkloadIdentity, nowMs: number): string {
  return expiresAt <= nowMs
    ? 'what was issued has expired by the clock of this host: is a clock wrong?'
    : 'what was issued is revoked';
}

class Renewing {
  readonly #options: AgentIdentityOptions;
  readonly #id: SpiffeId;
  readonly #cell: Cell<WorkloadIdentity | undefined>;
  readonly #backoff: ReturnType<typeof createBackoff>;
  #last: LastIdentity | undefined;
  #doubted: WorkloadIdentity | undefined;
  #cancel: () => void = () => {};
  #isClosed = false;

  constructor(
    options: AgentIdentityOptions,
    held: {
      readonly id: SpiffeId;
      readonly cell: Cell<WorkloadIdentity | undefined>;
      readonly last: LastIdentity | undefined;
    },
  ) {
    this.#options = options;
    this.#id = held.id;
    this.#cell = held.cell;
    this.#last = held.last;
    this.#backoff = createBackoff(RETRY, options.random);
  }

  schedule(): void {
    const current = usable(this.#cell.current(), this.#options);
    const { clock, random, trust } = this.#options;
    const isCurrent = current !== undefined && isUnderFirstRoot(current.chainDer, trust(), clock());
    this.#at(isCurrent ? renewalTime(current, random) : clock());
  }

  doubted(): WorkloadIdentity | undefined {
    return this.#doubted;
  }

  renewIfUnusable(): void {
    const doubted = usable(this.#doubted, this.#options);
    // The revocation was lifted: what came in the meantime is good.
    if (doubted !== undefined) return this.#take(doubted);
    const held = this.#cell.current();
    if (held === undefined) return;
    const { clock, trust } = this.#options;
    const isCurrent = isUnderFirstRoot(held.chainDer, trust(), clock());
    if (isCurrent && usable(held, this.#options) !== undefined) return;
    this.#cancel();
    this.#at(this.#options.clock());
  }

  hostSelectors(): readonly string[] {
    return this.#last?.hostSelectors ?? [];
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #at(atMs: number): void {
    const { clock, scheduler } = this.#options;
    this.#cancel = whenClockSays({ atMs, clock, scheduler }, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { authority, clock, folder, log, trust } = this.#options;
    const current = usable(this.#cell.current(), this.#options);
    let hostSelectors: readonly string[] = [];
    const asked = await requestSvid({
      id: this.#id,
      trust,
      clock,
      request: async (request) => {
        const response =
          current === undefined
            ? await this.#prove(request)
            : await authority.issue(current, request.csr, []);
        ({ hostSelectors } = response);
        return response;
      },
    });
    if (this.#isClosed) return;
    const issued = asked.ok && asked.value.expiresAt > clock() ? asked.value : undefined;
    if (issued !== undefined) {
      // Used or not, it is the last one: the authority takes no earlier one as a proof.
      this.#last = { ...storedIdentity(issued), hostSelectors };
      await folder.writeJson(FILE, this.#last).catch((error: unknown) => {
        log.error(EVENT.stateWriteFailed, { file: FILE, error });
      });
    }
    const fresh = usable(issued, this.#options);
    if (fresh === undefined) {
      this.#doubted = issued;
      const inMs = Math.round(this.#backoff.nextMs());
      const event = current === undefined ? EVENT.agentEnrolFailed : EVENT.agentRenewFailed;
      const reason = asked.ok ? uselessBecause(asked.value, clock()) : asked.error;
      log.warn(event, { reason, retryInMs: inMs });
      this.#at(clock() + inMs);
      return;
    }
    const { serial, expiresAt } = fresh;
    log.info(current === undefined ? EVENT.agentEnrolled : EVENT.agentRenewed, {
      serial,
      expiresAt: new Date(expiresAt).toISOString(),
    });
    this.#take(fresh);
  }

  #take(identity: WorkloadIdentity): void {
    this.#doubted = undefined;
    this.#cancel();
    this.#backoff.reset();
    this.#cell.set(identity);
    this.schedule();
  }

  /** By its last certificate, if there is one and the authority still takes it; else as a new host does. */
  async #prove(request: CertificateRequest): Promise<X509SvidResponse> {
    const { authority, evidence, log } = this.#options;
    if (this.#last !== undefined) {
      const agent = this.#id.path.slice('/palisade/agent/'.length);
      try {
        return await authority.attest(ownCertificateEvidence(this.#last, agent), request);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        log.info(EVENT.agentNotRecognized, { reason });
      }
    }
    return evidence === undefined
      ? authority.enrol(await this.#options.joinToken(), request.csr)
      : authority.attest(evidence, request);
  }
}

function usable(
  identity: WorkloadIdentity | undefined,
  { clock, revocations, trust }: Pick<AgentIdentityOptions, 'clock' | 'revocations' | 'trust'>,
): WorkloadIdentity | undefined {
  if (identity === undefined || identity.expiresAt <= clock()) return undefined;
  // Its root was retired while this agent was away: nobody takes it any more.
  if (!isStanding(identity, trust(), clock())) return undefined;
  return revocations.current()(identity, clock()) === undefined ? identity : undefined;
}

function readLastIdentity(onDisk: unknown): LastIdentity | undefined {
  if (typeof onDisk !== 'object' || onDisk === null) return undefined;
  const { privateKeyPem, chainPem, hostSelectors } = onDisk as Record<string, unknown>;
  if (typeof privateKeyPem !== 'string' || typeof chainPem !== 'string') return undefined;
  const texts = Array.isArray(hostSelectors) ? hostSelectors : [];
  return {
    privateKeyPem,
    chainPem,
    hostSelectors: texts.filter((each) => typeof each === 'string'),
  };
}
