import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { derToPem, parseSpiffeId } from '#identity';
import { EVENT, type Log } from '#telemetry';
import { SpiffeWorkloadAPI, type X509SVIDResponse } from '#wire';
import { createBundleDocuments } from './bundle-documents.ts';
import { splitCertificates } from './federated-bundles.ts';
import { createScheduler } from './timer.ts';
import { followWorkloadStream } from './workload-stream.ts';

/** What a bundle endpoint is made of. */
export type BundleEndpointOptions = {
  /** Path of the Workload API's socket, from which everything that is served comes. */
  readonly agentSocket: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM, for the profile https_web; without, the endpoint's own SVID (https_spiffe). */
  readonly web?: { readonly cert: string; readonly key: string } | undefined;
  /** What OpenID Connect's discovery names as issuer; without, there is no discovery. */
  readonly issuer?: string | undefined;
  readonly clock: () => number;
  readonly log: Log;
};

/** A bundle endpoint that answers. */
export type BundleEndpoint = {
  readonly port: number;
  readonly close: () => Promise<void>;
};

// SECURITY: this listens for strangers: few connections, short patience, nothing read but a request line and headers.
const LIMITS = { connections: 1000, headersTimeout: 5_000, requestTimeout: 10_000 };

/**
 * Serves our trust domain's bundle (SPIFFE Federation 5.2), and OpenID Connect's discovery and keys. It is a workload
 * like any other: it holds its own SVID and public keys, and nothing that could sign. Resolves once it has a certificate
 * to show.
 */
export async function createBundleEndpoint(
  options: BundleEndpointOptions,
): Promise<BundleEndpoint> {
  const { agentSocket, clock, issuer, listen, log, web } = options;
  const documents = createBundleDocuments({ issuer, clock });
  const server = createServer(
    { minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'], ...web },
    (request, response) => respond(documents.named(request.url ?? ''), request, response),
  );
  server.maxConnections = LIMITS.connections;
  server.headersTimeout = LIMITS.headersTimeout;
  server.requestTimeout = LIMITS.requestTimeout;
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const stream = { agentSocket, log, random: Math.random, scheduler: createScheduler() };
  const lost = (reason: string) => log.warn(EVENT.identityLost, { reason });
  const certified = Promise.withResolvers<void>();
  const { method } = SpiffeWorkloadAPI;
  const stops = [
    followWorkloadStream(stream, method.fetchX509SVID, {
      lost,
      received(response) {
        const [svid] = response.svids;
        const id = parseSpiffeId(svid?.spiffeId ?? '');
        const roots = splitCertificates(svid?.bundle ?? new Uint8Array());
        if (!id.ok || roots === undefined) return false;
        documents.setRoots(id.value.trustDomain, roots);
        if (web === undefined) showSvid(server, response);
        certified.resolve();
        return true;
      },
    }),
    followWorkloadStream(stream, method.fetchJWTBundles, {
      lost,
      received({ bundles }) {
        documents.setJwtBundles(bundles);
        return true;
      },
    }),
  ];
  await certified.promise;
  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  log.info(EVENT.listening, { host: listen.host, port });
  return {
    port,
    async close() {
      for (const stop of stops) stop();
      server.close();
      server.closeAllConnections();
      await Promise.resolve();
    },
  };
}

function showSvid(server: Server, { svids }: X509SVIDResponse): void {
  const [svid] = svids;
  const chain = splitCertificates(svid?.x509Svid ?? new Uint8Array()) ?? [];
  server.setSecureContext({
    cert: chain.map((der) => derToPem(der)).join(''),
    key: derToPem(svid?.x509SvidKey ?? new Uint8Array(), 'PRIVATE KEY'),
  });
}

function respond(
  document: string | 'later' | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  // Nobody has anything to say here.
  request.resume();
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
  } else if (document === undefined) response.writeHead(404).end();
  else if (document === 'later') response.writeHead(503, { 'retry-after': '5' }).end();
  else {
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(document),
      'cache-control': 'max-age=60',
    });
    response.end(request.method === 'HEAD' ? undefined : document);
  }
}
