import { createRevocationService } from '#revocation';
import { EVENT } from '#telemetry';
import { createGrpcServer, type GrpcServer } from '#wire';
import type { ControlOptions } from './control-options.ts';
import type { ControlCore } from './core.ts';
import { createDistributionService } from './distribution-service.ts';
import type { TrafficMap } from './map.ts';
import { identifyPeer, type MeshPeer } from './peer.ts';
import { createProcessStarts } from './process-starts.ts';
import type { Served } from './served.ts';
import { createTelemetryIngest } from './telemetry-ingest.ts';

const CUT_AFTER_MS = 100;

/** The port for agents and the authority, as it listens. */
export type GrpcSide = {
  readonly port: number;
  readonly ingest: ReturnType<typeof createTelemetryIngest>;
};

/** Serves distribution, telemetry and revocations over mutual TLS. Rejects where the port cannot be had. */
export async function serveGrpc(
  { grpc: address, clock, log }: ControlOptions,
  { core, identity, pinned, closers }: Served,
): Promise<GrpcSide> {
  const onRefused = (reason: string): void => {
    core.metrics.connectionRefused('grpc');
    log.warn(EVENT.connectionRefused, { port: 'grpc', reason });
  };
  const peer = (call: { readonly getPeer: () => string }) => server.peer(call);
  const { distributor, enforcement, endpoints, records, revocations } = core;
  const ingest = createTelemetryIngest({
    peer,
    connected: enforcement.connectedPoint,
    records,
    map: countingMap(core),
    clock,
    log,
    onStored: core.recordsStored,
    onCounted: core.onTraffic,
    onSecurity: core.alerts.countSecurity,
  });
  const distribution = createDistributionService({
    peer,
    distributor,
    enforcement,
    endpoints,
    onGreeted: createProcessStarts(core.audit, clock).greeted,
    onRefused,
  });
  // Whoever is connected has an identity of the mesh; which entries it brings is judged by their signatures.
  const revoking = createRevocationService({
    store: revocations,
    refuse: () => undefined,
    log,
  });
  const services = [revoking, distribution, ingest.service];
  const server: GrpcServer<MeshPeer> = createGrpcServer<MeshPeer>(services, {
    onFailed: (method, error) => log.error(EVENT.failed, { method, error }),
  });
  // A moment later: what is written to a connection that is destroyed in the same turn never leaves, and those who are
  // concerned have to hear of it to ask for other certificates.
  const stopCutting = revocations.check.onChange(() => {
    const isOver = ({ svid }: MeshPeer) => revocations.check.current()(svid, clock()) !== undefined;
    setTimeout(() => server.disconnect(isOver), CUT_AFTER_MS).unref();
  });
  closers.push(() => ingest.close(), server.close, stopCutting);
  const port = await server.listenTls({
    ...address,
    material: identity.material,
    identify: (socket) =>
      identifyPeer(socket, {
        bundle: pinned.bundle,
        clock,
        revoked: revocations.check.current(),
        onRefused,
      }),
    onRefused,
  });
  log.info(EVENT.listening, { port: 'grpc', address: `${address.host}:${port}` });
  return { port, ingest };
}

/** The map, which objectives and alerts count along with. */
function countingMap({ map, alerts }: ControlCore): TrafficMap {
  return {
    ...map,
    count(edge) {
      map.count(edge);
      alerts.countEdge(edge);
    },
  };
}
