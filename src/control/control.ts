import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RevocationCheck } from '#identity';
import { createFlooredClock, type Source } from '#lib';
import { consoleUrl, meshId, portOf } from './addresses.ts';
import { openAdmins } from './admins.ts';
import { askAuthority } from './audit-witness.ts';
import type { Control, ControlOptions } from './control-options.ts';
import { createCore } from './core.ts';
import { type ControlIdentity, enrolControl } from './identity.ts';
import { openRecords } from './open-records.ts';
import { recordRun } from './record-run.ts';
import { serveGrpc } from './serve-grpc.ts';
import { serveHttp } from './serve-http.ts';
import type { Closer } from './served.ts';
import { startSinks } from './sinks.ts';
import { openTrustAnchor, type TrustAnchor } from './trust-root-file.ts';

const EXPIRY_MARGIN_MS = 60_000;
// A year, as those who audit ask for, and the time to ask.
const DEFAULT_AUDIT_RETENTION_MS = 400 * 86_400_000;

/**
 * Starts a control plane: waits for the certificate authority, then serves. Rejects, naming what is wrong, when its
 * folder, trust root or a port is not fit.
 */
export async function createControl(options: ControlOptions): Promise<Control> {
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await start(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(asked: ControlOptions, closers: Closer[]): Promise<Omit<Control, 'close'>> {
  const floored = createFlooredClock({ wall: asked.clock, elapsed: () => performance.now() });
  const options = { ...asked, clock: floored.now };
  const { clock, log } = options;
  const admins = openAdmins(options.adminsFile, clock, log);
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const pinned = openTrustAnchor({
    path: options.trustRootFile,
    folder: options.folder,
    trustDomain: options.trustDomain,
    clock,
  });
  const records = await openRecords(options.folder, log);
  closers.push(() => records.close());
  const core = createCore({
    controlPath: join(options.folder, 'control.db'),
    records,
    sessionsPath: join(options.folder, 'console-sessions.json'),
    revocationsPath: join(options.folder, 'revocations.jsonl'),
    silencesPath: join(options.folder, 'silences.json'),
    alertsPath: join(options.folder, 'alerts.json'),
    folder: options.folder,
    auditRetentionMs: options.auditRetentionMs ?? DEFAULT_AUDIT_RETENTION_MS,
    pinned,
    clock,
    log,
  });
  closers.push(core.close);
  await recordRun(options, core, closers);
  const identity = await enrol(options, pinned, core.revocations.check);
  closers.push(identity.close);
  // SECURITY: the authority dates certificates; while our clock is set back, what has expired stays so.
  const vouch = () => floored.vouch(identity.notBefore());
  vouch();
  identity.onRenewed(vouch);
  const ports: number[] = [portOf(options.ca.address)];
  const known: { consolePort?: number | undefined } = {};
  const sinks = await startSinks({
    ...core,
    folder: join(options.folder, 'sinks'),
    trustDomain: pinned.trustDomain,
    version: options.softwareVersion ?? '',
    ownPorts: () => ports,
    consoleUrl: () => consoleUrl(options.console?.host, known.consolePort) ?? '',
    clock,
    log,
  });
  closers.push(sinks.close);
  core.audit.follow(askAuthority(identity.caClient));
  const grpc = await serveGrpc(options, { core, identity, pinned, closers });
  ports.push(grpc.port);
  const parts = { core, identity, pinned, closers, admins, grpc, sinks };
  const http = await serveHttp(options, parts);
  const { apiPort, consolePort } = http;
  known.consolePort = consolePort;
  ports.push(apiPort, ...(consolePort === undefined ? [] : [consolePort]));
  return {
    apiPort,
    grpcPort: grpc.port,
    consolePort,
    signInLink: http.signInLink,
    health: () => ({
      ...readiness(identity, clock()),
      subscribers: core.distributor.subscribers(),
      policySets: core.sets.all().length,
      brokenSets: [...core.sets.broken().keys()],
      certificateExpiresAt: identity.expiresAt(),
    }),
  };
}

function enrol(
  options: ControlOptions,
  pinned: TrustAnchor,
  revocations: Source<RevocationCheck>,
): Promise<ControlIdentity> {
  const { ca, joinToken, trustDomain, clock, log, signal } = options;
  return enrolControl({
    id: meshId(trustDomain, 'control'),
    caId: meshId(trustDomain, 'ca'),
    caAddress: ca.address,
    joinToken,
    trust: pinned,
    revocations,
    clock,
    log,
    ...(signal === undefined ? {} : { signal }),
  });
}

function readiness(identity: ControlIdentity, nowMs: number): { ready: boolean; reason: string } {
  // Before it runs out: there has been half a life to renew it.
  if (nowMs < identity.expiresAt() - EXPIRY_MARGIN_MS) return { ready: true, reason: '' };
  return { ready: false, reason: 'the certificate runs out and the authority has not renewed it' };
}
