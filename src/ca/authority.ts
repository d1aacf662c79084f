import { readFileSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { type Bundle, derToPem, parseBundle, parseTrustDomain } from '#identity';
import { createRevocationService, followRevocations, openRevocationStore } from '#revocation';
import { EVENT, type Log, type MetricFamily } from '#telemetry';
import {
  activeRevocations,
  type DsseEnvelope,
  decodeEnvelope,
  encodeEnvelope,
  openTrustRoot,
  signNextRoot,
  type TrustRoot,
} from '#trust';
import { createGrpcClient, createGrpcServer, type GrpcServer, Revocations } from '#wire';
import { openAuditWitness } from './audit-witness.ts';
import { caFolder } from './ca-folder.ts';
import { type Caller, identifyAgain, identifyCaller, requireIdentity } from './caller.ts';
import { publishCrl } from './crl.ts';
import { openDatabase } from './database.ts';
import { type Expiring, expiryProblem, listExpiries } from './expiries.ts';
import { openHosts } from './hosts.ts';
import { type CaSecrets, loadSecrets } from './initialize.ts';
import { createSignedHead, openIssuanceLog, signLogHead } from './issuance-log.ts';
import { createIssue } from './issue.ts';
import { createIssueJwt } from './issue-jwt.ts';
import { openIssuers } from './issuers.ts';
import { openJoinTokenBook } from './join-token-book.ts';
import { openJwtKeys } from './jwt-keys.ts';
import type { KeyDevice } from './keys/key-device.ts';
import { createKeyStore } from './keys/key-store.ts';
import { meshRole } from './mesh-identity.ts';
import { createCaMetrics } from './metrics.ts';
import { createOwnIdentity } from './own-identity.ts';
import { openPolicy, type Policy } from './policy.ts';
import { createRateLimit } from './rate-limit.ts';
import { createIssuanceService } from './service.ts';
import { controlTarget, type PolicySubscription, subscribeToPolicy } from './subscribe.ts';
import { openUpstreamFiles, type Upstream, type UpstreamFiles } from './upstream.ts';

/** What an authority runs on. */
export type CaOptions = {
  /** Made by `initializeCa`. */
  readonly folder: string;
  /** Opens the keys where they are sealed, and seals them where they are not. */
  readonly passphrase?: string | undefined;
  /** Where issuing keys are made and stay. */
  readonly keyDevice?: KeyDevice | undefined;
  /** Who signs our intermediates. */
  readonly upstream?: UpstreamFiles | undefined;
  /** DSSE envelope of the trust root. */
  readonly trustRootFile: string;
  readonly trustDomain: string;
  /** Port 0: any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** `host:port` of the control plane's gRPC; undefined: decide by what is on disk. */
  readonly control?: string | undefined;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly log: Log;
  readonly softwareVersion?: string;
  /** Certificates an identity may ask for at once, and then each second. */
  readonly rateLimit?: { readonly burst: number; readonly perSecond: number };
  /** Certificates that one agent may ask for one identity; a burst of 20 and one a second unless told. */
  readonly identityRateLimit?: { readonly burst: number; readonly perSecond: number };
  /** JWT-SVIDs that one agent may ask of one identity; a burst of 100 and ten a second unless told. */
  readonly tokenRateLimit?: { readonly burst: number; readonly perSecond: number };
  /** How long a request waits for a registration that is still on its way; 1 s unless told. */
  readonly patienceMs?: number;
};

/** A running authority. */
export type Ca = {
  readonly port: number;
  /** Its own serving certificate now. */
  readonly certificate: () => { readonly serial: string; readonly expiresAt: number };
  /** The issuance log's head, signed with the log key. */
  readonly logHead: () => DsseEnvelope;
  readonly health: () => CaHealth;
  readonly metrics: () => readonly MetricFamily[];
  readonly close: () => Promise<void>;
};

/** Whether an authority can do its work, and what it works by. */
export type CaHealth = {
  readonly ready: boolean;
  /** A sentence; empty when all is well. */
  readonly reason: string;
  /** Whether the control plane is connected; issuing goes on without it. */
  readonly connected: boolean;
  readonly policySets: number;
  readonly issued: number;
  readonly certificateExpiresAt: number;
};

const DEFAULT_RATE = { burst: 200, perSecond: 50 };
// One workload on one host; a restart of its agent, or a rotation under way, asks a few times.
const IDENTITY_RATE = { burst: 20, perSecond: 1 };
// A token for each audience, which the agent keeps for half of its life; an eighth of what the agent has for all.
const TOKEN_RATE = { burst: 100, perSecond: 10 };
const DEFAULT_PATIENCE_MS = 1000;
const RENEWAL_CHECK_MS = 30_000;

/** Starts an authority; rejects, naming what is wrong, when its folder, trust root or port is not fit. */
export async function createCa(options: CaOptions): Promise<Ca> {
  const secrets = loadSecrets(options.folder, options.passphrase);
  const trustRoot = readTrustRoot(options.trustRootFile, options.trustDomain, secrets);
  const database = openDatabase(caFolder(options.folder).database);
  try {
    return await start(options, { secrets, trustRoot, database });
  } catch (error) {
    database.close();
    throw error;
  }
}

type Parts = {
  readonly secrets: CaSecrets;
  readonly trustRoot: TrustRoot;
  readonly database: DatabaseSync;
};

async function start(options: CaOptions, parts: Parts): Promise<Ca> {
  const { trustDomain, clock } = options;
  const core = createCore(options, parts);
  const { issuanceLog, identity, policy } = core;
  const { server, port } = await listen(options, parts, core);
  const subscription = subscribe(options, core);
  const renewal = setInterval(() => {
    refreshIssuers(options, core);
    const isRenewed =
      identity.renewIfDue() || identity.renewIfRevoked(core.revocations.check.current());
    if (isRenewed) subscription?.reconnect();
  }, RENEWAL_CHECK_MS);
  const stopWatching = core.revocations.check.onChange((revoked) => {
    server.disconnect(
      (caller) => caller.kind === 'identified' && revoked(caller.svid, clock()) !== undefined,
    );
    if (identity.renewIfRevoked(revoked)) subscription?.reconnect();
  });
  const stopTainting = followTaint(core);
  let trustRoot = policy.trustRoot();
  const stopRotating = policy.onChange(() => {
    if (policy.trustRoot() === trustRoot) return;
    const before = trustRoot;
    trustRoot = policy.trustRoot();
    core.issuers.settle();
    if (before.x509Roots[0] !== trustRoot.x509Roots[0] && identity.renew())
      subscription?.reconnect();
  });
  const signer = parts.secrets.logSigner;
  const health = (): CaHealth => ({
    ...readiness(core.expiries(), clock()),
    connected: subscription?.connected() ?? false,
    policySets: policy.sets().length,
    issued: issuanceLog.head().number,
    certificateExpiresAt: identity.expiresAt(),
  });
  return {
    port,
    certificate: () => ({ serial: identity.serial(), expiresAt: identity.expiresAt() }),
    logHead() {
      const tip = { ...issuanceLog.head(), root: issuanceLog.root() };
      return signLogHead(tip, { trustDomain, nowMs: clock(), signer });
    },
    health,
    metrics: () =>
      core.metrics.families({ nowMs: clock(), ...health(), expiries: core.expiries() }),
    async close() {
      clearInterval(renewal);
      stopWatching();
      stopRotating();
      stopTainting();
      core.crl.close();
      subscription?.close();
      await server.close();
      // Requests of this turn are still to be logged; after it nothing can reach the database.
      await new Promise((resolve) => setImmediate(resolve));
      core.revocations.close();
      parts.database.close();
    },
  };
}

type Core = ReturnType<typeof createCore>;

/**
 * Whoever revokes all that was issued so far does not trust the keys any more: those of JWT-SVIDs go too, also where the
 * revocation came while this authority was down.
 */
function followTaint({ revocations, jwtKeys }: Core): () => void {
  const retire = () => {
    const instants = activeRevocations(revocations.all()).flatMap(({ target }) =>
      target.kind === 'all' ? [Date.parse(target.issuedBefore)] : [],
    );
    if (instants.length > 0) jwtKeys.retireMadeBefore(Math.max(...instants));
  };
  retire();
  return revocations.check.onChange(retire);
}

/** A device or an upstream that is away must not end the authority: what it has is good for a while. */
function refreshIssuers({ log }: CaOptions, { issuers }: Core): void {
  try {
    issuers.refresh();
  } catch (error) {
    log.error(EVENT.signingFailed, { error });
  }
}

function openUpstream({ upstream, trustDomain, clock }: CaOptions): Upstream | undefined {
  if (upstream === undefined) return undefined;
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) throw new Error(parsed.error);
  return openUpstreamFiles(upstream, { trustDomain: parsed.value, clock });
}

function createCore(options: CaOptions, { secrets, database, trustRoot }: Parts) {
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
  const issuers = openIssuers({
    folder: options.folder,
    keys: createKeyStore({ passphrase: options.passphrase, device: options.keyDevice }),
    upstream: openUpstream(options),
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
    issuer: issuers.active,
    issuanceLog,
    store: revocations,
    clock,
    log,
  });
  const tokenBook = openJoinTokenBook(database);
  const expiries = () =>
    listExpiries({
      issuers: issuers.lives,
      authority: identity.expiresAt,
      jwtKeys: () => jwtKeys.signing(),
      joinTokens: () => tokenBook.waiting(clock()),
    });
  const made = { crl, expiries, issuers, issue, issueJwt, jwtKeys, identity, tokenBook };
  const metrics = createCaMetrics();
  return { issuanceLog, hosts, policy, revocations, roots, metrics, ...made };
}

async function listen(
  options: CaOptions,
  { secrets }: Parts,
  core: Core,
): Promise<{ readonly server: GrpcServer<Caller>; readonly port: number }> {
  const { trustDomain, clock, log, rateLimit = DEFAULT_RATE } = options;
  const { issuanceLog, hosts, policy, revocations, roots, issue, issueJwt, jwtKeys } = core;
  const { identity, issuers } = core;
  const service = createIssuanceService({
    answered: core.metrics.answered,
    trustDomain,
    joinTokens: secrets.joinTokens,
    policy,
    issue,
    issueJwt,
    jwtKeys,
    issuanceLog,
    signedHead: createSignedHead(issuanceLog, { trustDomain, clock, signer: secrets.logSigner }),
    nextRoot() {
      const certificate = Buffer.from(issuers.next().rootDer).toString('base64');
      const time = new Date(clock()).toISOString();
      return encodeEnvelope(signNextRoot({ trustDomain, certificate, time }, secrets.logSigner));
    },
    crl: core.crl.current,
    expiries: core.expiries,
    tokenBook: core.tokenBook,
    witness: openAuditWitness({
      path: caFolder(options.folder).auditWitness,
      trustDomain,
      signer: secrets.logSigner,
      clock,
      log,
    }),
    hosts,
    revoked: revocations.check.current,
    callers: createRateLimit({ ...rateLimit, clock }),
    identities: createRateLimit({ ...(options.identityRateLimit ?? IDENTITY_RATE), clock }),
    tokens: createRateLimit({ ...(options.tokenRateLimit ?? TOKEN_RATE), clock }),
    enrolments: createRateLimit({ ...rateLimit, clock }),
    callerOf: (call) => identifyAgain(server.peer(call), roots.bundle(), clock()),
    rootsDer: roots.der,
    bundle: roots.bundle,
    patienceMs: options.patienceMs ?? DEFAULT_PATIENCE_MS,
    clock,
    log,
  });
  const revoking = createRevocationService({
    store: revocations,
    refuse(call) {
      const caller = requireIdentity(server.peer(call), clock(), revocations.check.current());
      if (!caller.ok) return caller.error.message;
      return meshRole(caller.value) === undefined ? 'only for processes of the mesh' : undefined;
    },
    log,
  });
  const server: GrpcServer<Caller> = createGrpcServer<Caller>([service, revoking]);
  const port = await server.listenTls({
    ...options.listen,
    material: identity.material,
    identify: (socket) => identifyCaller(socket, roots.bundle(), clock()),
    onRefused: (reason) => log.warn(EVENT.connectionRefused, { reason }),
  });
  log.info(EVENT.listening, { host: options.listen.host, port });
  return { server, port };
}

function subscribe(
  options: CaOptions,
  { policy, identity, revocations, roots }: Core,
): PolicySubscription | undefined {
  const { control, trustDomain, clock, log, softwareVersion = '' } = options;
  if (control === undefined) return undefined;
  const { bundle } = roots;
  const revoked = revocations.check.current;
  const about = { address: control, trustDomain, softwareVersion, clock, log };
  const shared = { ...about, policy, identity, bundle, revoked, revocations };
  const policies = subscribeToPolicy(shared);
  const follower = followRevocations({
    store: revocations,
    open() {
      const client = createGrpcClient(Revocations, controlTarget(shared));
      return { stream: client.bidi(Revocations.method.sync), close: client.close };
    },
    neighbour: 'control',
    maxRetryMs: 2_000,
    log,
  });
  return {
    connected: policies.connected,
    reconnect() {
      policies.reconnect();
      follower.restart();
    },
    close() {
      follower.close();
      policies.close();
    },
  };
}

function readiness(
  expiries: readonly Expiring[],
  nowMs: number,
): { ready: boolean; reason: string } {
  const problem = expiryProblem(expiries, nowMs);
  return { ready: problem === undefined, reason: problem ?? '' };
}

/** The roots of the trust root now, in the forms their users want; the same objects until it changes. */
function createRoots(policy: Policy) {
  const compute = (root: TrustRoot) => {
    const der = [...new Set(root.x509Roots)].map((text) => Buffer.from(text, 'base64'));
    const pem = der.map((bytes) => derToPem(bytes));
    return { root, der, pem, bundle: bundleOf(root.trustDomain, pem) };
  };
  let held = compute(policy.trustRoot());
  const current = () => {
    const root = policy.trustRoot();
    if (root !== held.root) held = compute(root);
    return held;
  };
  return { der: () => current().der, pem: () => current().pem, bundle: () => current().bundle };
}

function bundleOf(trustDomain: string, rootsPem: readonly string[]): Bundle {
  const name = parseTrustDomain(trustDomain);
  if (!name.ok) throw new Error(name.error);
  const bundle = parseBundle(name.value, rootsPem.join('\n'));
  if (!bundle.ok) throw new Error(`the trust root: ${bundle.error}`);
  return bundle.value;
}

function readTrustRoot(path: string, trustDomain: string, { logSigner }: CaSecrets): TrustRoot {
  const envelope = decodeEnvelope(readFileSync(path));
  const root = envelope.ok ? openTrustRoot(envelope.value) : envelope;
  if (!root.ok) throw new Error(`\`${path}\`: ${root.error.message}`);
  const { value } = root;
  if (value.trustDomain !== trustDomain) {
    throw new Error(`\`${path}\` is of trust domain \`${value.trustDomain}\``);
  }
  if (value.issuanceLogKey !== logSigner.publicKey) {
    throw new Error(`\`${path}\` does not name this authority's log key`);
  }
  return value;
}
