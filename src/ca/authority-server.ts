import { createRevocationService } from '#revocation';
import { EVENT } from '#telemetry';
import { encodeEnvelope, signNextRoot } from '#trust';
import { acceptMessageStream, createGrpcServer, type GrpcServer, ISSUE_SERVER } from '#wire';
import type { ServiceOptions } from './answer.ts';
import { openAuditWitness } from './audit-witness.ts';
import type { CaCore, CaParts } from './authority-core.ts';
import { refreshIssuers } from './authority-upkeep.ts';
import { caFolder } from './ca-folder.ts';
import type { CaOptions } from './ca-options.ts';
import { type Caller, identifyAgain, identifyCaller, requireIdentity } from './caller.ts';
import { createSignedHead } from './issuance-log.ts';
import { serveIssueStream } from './issue-stream.ts';
import { serialOf } from './issuers.ts';
import { meshRole } from './mesh-identity.ts';
import { createRateLimit } from './rate-limit.ts';
import { createIssuanceService } from './service.ts';

const DEFAULT_RATE = { burst: 200, perSecond: 50 };
// One workload on one host; a restart of its agent, or a rotation under way, asks a few times.
const IDENTITY_RATE = { burst: 20, perSecond: 1 };
// A token for each audience, which the agent keeps for half of its life; an eighth of what the agent has for all.
const TOKEN_RATE = { burst: 100, perSecond: 10 };
const DEFAULT_PATIENCE_MS = 1000;
// Agents end what they do not use after half of this.
const IDLE_MS = 60_000;

/** Serves issuance and revocations on the port. */
export async function listenForCalls(
  options: CaOptions,
  parts: CaParts,
  core: CaCore,
): Promise<{ readonly server: GrpcServer<Caller>; readonly port: number }> {
  const { clock, log } = options;
  const { identity, revocations, roots } = core;
  const callerOf: ServiceOptions['callerOf'] = (call) =>
    identifyAgain(server.peer(call), roots.bundle(), clock());
  const answering = answeringBy({ options, parts, core, callerOf });
  const revoking = createRevocationService({
    store: revocations,
    refuse(call) {
      const caller = requireIdentity(server.peer(call), clock(), revocations.check.current());
      if (!caller.ok) return caller.error.message;
      return meshRole(caller.value) === undefined ? 'only for processes of the mesh' : undefined;
    },
    log,
  });
  const server: GrpcServer<Caller> = createGrpcServer<Caller>(
    [createIssuanceService(answering), revoking],
    { onFailed: (method, error) => log.error(EVENT.failed, { method, error }) },
  );
  const port = await server.listenTls({
    ...options.listen,
    material: identity.material,
    identify: (socket) => identifyCaller(socket, roots.bundle(), clock()),
    onRefused: (reason) => log.warn(EVENT.connectionRefused, { reason }),
    streams: {
      protocol: ISSUE_SERVER.protocol,
      accept(socket, caller) {
        // SECURITY: who shows no certificate is told so by a call; here it would only hold memory.
        if (caller.kind === 'anonymous') return void socket.destroy();
        socket.setTimeout(IDLE_MS, () => socket.destroy());
        const now = () => identifyAgain(caller, roots.bundle(), clock());
        serveIssueStream(answering, acceptMessageStream(socket, ISSUE_SERVER), now);
      },
    },
  });
  log.info(EVENT.listening, { host: options.listen.host, port });
  return { server, port };
}

/** What requests are decided by and answered with. */
function answeringBy(of: {
  readonly options: CaOptions;
  readonly parts: CaParts;
  readonly core: CaCore;
  readonly callerOf: ServiceOptions['callerOf'];
}): ServiceOptions {
  const { options, core, callerOf } = of;
  const { secrets } = of.parts;
  const { trustDomain, clock, log, rateLimit = DEFAULT_RATE } = options;
  const { issuanceLog, hosts, policy, revocations, roots, issue, issueJwt, jwtKeys } = core;
  const { issuers } = core;
  return {
    answered: core.metrics.answered,
    trustDomain,
    joinTokens: secrets.joinTokens,
    policy,
    issue,
    issueJwt,
    jwtKeys,
    redactionKeys: core.redactionKeys,
    issuanceLog,
    signedHead: createSignedHead(issuanceLog, { trustDomain, clock, signer: secrets.logSigner }),
    nextRoot() {
      const next = issuers.next();
      const certificate = Buffer.from(next.rootDer).toString('base64');
      const time = new Date(clock()).toISOString();
      // Below an upstream whose root stays, what a rotation replaces is the intermediate.
      const isKnown = policy.trustRoot().x509Roots.includes(certificate);
      const replaces = issuers
        .trusted()
        .filter((each) => each !== next && Buffer.from(each.rootDer).equals(next.rootDer))
        .map(serialOf);
      const about = { trustDomain, certificate, time, ...(isKnown ? { replaces } : {}) };
      return encodeEnvelope(signNextRoot(about, secrets.logSigner));
    },
    crl: core.crl.current,
    expiries() {
      // Whoever has just imported a chain and looks sees what came of it.
      refreshIssuers(core, log);
      return core.expiries();
    },
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
    callerOf,
    rootsDer: roots.der,
    bundle: roots.bundle,
    patienceMs: options.patienceMs ?? DEFAULT_PATIENCE_MS,
    clock,
    log,
  };
}
