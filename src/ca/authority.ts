import type { MetricFamily } from '#telemetry';
import type { DsseEnvelope } from '#trust';
import { type CaParts, createCaCore } from './authority-core.ts';
import { followMesh } from './authority-mesh.ts';
import { listenForCalls } from './authority-server.ts';
import { keepUp } from './authority-upkeep.ts';
import { caFolder } from './ca-folder.ts';
import type { CaOptions } from './ca-options.ts';
import { openDatabase } from './database.ts';
import { type Expiring, expiryProblem } from './expiries.ts';
import { loadSecrets } from './initialize.ts';
import { signLogHead } from './issuance-log.ts';
import { openOwnClock } from './own-clock.ts';
import { readTrustRoot } from './roots.ts';

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

/** Starts an authority; rejects, naming what is wrong, when its folder, trust root or port is not fit. */
export async function createCa(options: CaOptions): Promise<Ca> {
  const secrets = loadSecrets(options.folder, options.passphrase);
  const trustRoot = readTrustRoot(options.trustRootFile, options.trustDomain, secrets);
  const database = openDatabase(caFolder(options.folder).database);
  try {
    const { clock: wall, elapsed = () => performance.now() } = options;
    const own = openOwnClock({ database, wall, elapsed });
    return await start({ ...options, clock: own.now }, { secrets, trustRoot, database }, own.keep);
  } catch (error) {
    database.close();
    throw error;
  }
}

async function start(options: CaOptions, parts: CaParts, keepClock: () => void): Promise<Ca> {
  const { trustDomain, clock } = options;
  const core = createCaCore(options, parts);
  const { issuanceLog, identity, policy } = core;
  const { server, port } = await listenForCalls(options, parts, core);
  const subscription = followMesh(options, core);
  const stopKeepingUp = keepUp(options, core, { server, subscription, keepClock });
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
      stopKeepingUp();
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

function readiness(
  expiries: readonly Expiring[],
  nowMs: number,
): { ready: boolean; reason: string } {
  const problem = expiryProblem(expiries, nowMs);
  return { ready: problem === undefined, reason: problem ?? '' };
}
