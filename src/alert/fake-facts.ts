import type { MeshFacts, PointFact } from './facts.ts';

/** Noon of a day, ms. */
export const NOON: number = Date.UTC(2026, 0, 15, 12);

/** Facts of a mesh in which all is well; for tests. */
export function goodFacts(changes: Partial<MeshFacts> = {}): MeshFacts {
  const inAYear = NOON + 365 * 24 * 3_600_000;
  return {
    nowMs: NOON,
    points: [goodPoint()],
    policySets: [{ namespace: 'default', expiresAt: inAYear }],
    brokenSets: [],
    authority: {
      reachable: true,
      reason: '',
      logVerified: true,
      logReason: '',
      rootsExpireAt: [inAYear],
      due: [],
    },
    foreignBundles: [],
    controlCertificateExpiresAt: NOON + 3_600_000,
    plaintext: [],
    bursts: [],
    telemetry: { failedWrites: 0, gaps: [] },
    sinks: [],
    auditLogs: [],
    ...changes,
  };
}

/** An enforcement point with which all is well; for tests. */
export function goodPoint(changes: Partial<PointFact> = {}): PointFact {
  return {
    node: 'default/orders/1',
    namespace: 'default',
    service: 'orders',
    connected: true,
    stale: false,
    reason: '',
    refused: [],
    revocationsCurrent: true,
    ready: true,
    readyReason: '',
    certificateExpiresAt: new Date(NOON + 3_600_000).toISOString(),
    troubled: [],
    exposed: [],
    ...changes,
  };
}
