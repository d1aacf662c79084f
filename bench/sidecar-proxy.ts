// One side of the benchmarked pair as its own process: `node sidecar-proxy.ts FILE`, FILE being a SideConfig.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import module from 'node:module';
import {
  derToPem,
  parseSpiffeId,
  parseTrustDomain,
  pemToDer,
  type WorkloadIdentity,
} from '#identity';
import { createProxy } from '#proxy';
import { createAccessLog } from '#telemetry';
// Not through a layer's index: fakes are for tests and benchmarks, and no part of any layer.
import {
  type FakeMesh,
  fakePolicy,
  fakeService,
  fakeSnapshot,
  fakeWorkload,
} from '../src/proxy/fake-mesh.ts';

/** What a side needs to know; written by the benchmark. */
export type SideConfig = {
  readonly side: 'inbound' | 'outbound';
  readonly id: string;
  readonly privateKeyPem: string;
  readonly chainPem: string;
  readonly rootPem: string;
  readonly port: number;
  /** The application's port, or that of the other side. */
  readonly target: number;
  readonly records: string;
};

const config = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as SideConfig;
const identity = readIdentity(config);
const mesh = { trustDomain: identity.id.trustDomain } as FakeMesh;
const isInbound = config.side === 'inbound';
const snapshot = isInbound
  ? fakeSnapshot(mesh, {
      service: 'orders',
      policies: [
        fakePolicy('DENY', 'admin', { path: ['/admin/*'] }),
        fakePolicy('ALLOW', 'web', {
          principal: ['cluster.local/ns/default/sa/web'],
          method: ['GET'],
        }),
      ],
    })
  : fakeSnapshot(mesh, { service: 'web', upstreams: [fakeService(mesh, 'orders')] });
const address = { host: '127.0.0.1', port: config.port };
await createProxy(
  fakeWorkload(snapshot, identity).options({
    appPort: config.target,
    endpoints: () => [{ host: '127.0.0.1', port: config.target }],
    listen: {
      inbound: isInbound ? address : undefined,
      outbound: isInbound ? undefined : address,
      upstreams: [],
    },
    records: createAccessLog({ folder: config.records }),
  }),
);
// The benchmark ends this process by force, and only an orderly exit would write the cache.
module.flushCompileCache();

function readIdentity({ id, privateKeyPem, chainPem, rootPem }: SideConfig): WorkloadIdentity {
  const spiffeId = parseSpiffeId(id);
  const trustDomain = parseTrustDomain('cluster.local');
  if (!spiffeId.ok || !trustDomain.ok) throw new Error('the benchmark gave no valid identity');
  const chainDer = pemToDer(chainPem);
  const x509Roots = pemToDer(rootPem).map((der) => new X509Certificate(derToPem(der)));
  return {
    id: spiffeId.value,
    privateKeyPem,
    chainPem,
    chainDer,
    serial: '01',
    notBefore: Date.now() - 60_000,
    expiresAt: Date.now() + 3_600_000,
    bundles: [{ trustDomain: trustDomain.value, x509Roots }],
  };
}
