// A sidecar in a process of its own without a control plane, so that a test decides where its endpoints are and can break
// what lies between. `node fault-sidecar.ts CONFIG`: prints its ports as one line of JSON, then answers each line on its
// input with its metrics.
import { X509Certificate } from 'node:crypto';
import { createInterface } from 'node:readline';
import { parseTrustDomain, type WorkloadIdentity, workloadSpiffeId } from '#identity';
import { createProxy } from '#proxy';
import {
  createFakeMesh,
  type FakeMesh,
  type FakeTraffic,
  fakePolicy,
  fakeService,
  fakeSnapshot,
  fakeWorkload,
} from '../../src/proxy/fake-mesh.ts';

/** An identity as it travels to another process. */
export type PortableIdentity = {
  readonly account: string;
  readonly privateKeyPem: string;
  readonly chainPem: string;
  readonly serial: string;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly rootDer: string;
  readonly chainDer: readonly string[];
};

/** What a sidecar is started with. */
export type FaultSidecar = {
  readonly identity: PortableIdentity;
  readonly protocol: 'http' | 'tcp';
  /** The application's port, for a server. */
  readonly appPort?: number;
  /** Endpoints of the service `orders`, for a caller. */
  readonly endpoints?: readonly {
    readonly host: string;
    readonly port: number;
    readonly hbonePort: number;
  }[];
  readonly retries?: FakeTraffic['outlierDetection'] & { readonly attempts?: number };
  readonly timeouts?: Readonly<Record<string, number>>;
};

/** Takes an identity apart for another process. */
export function portable(mesh: FakeMesh, account: string): PortableIdentity {
  const identity = mesh.issue(account);
  return {
    account,
    privateKeyPem: identity.privateKeyPem,
    chainPem: identity.chainPem,
    serial: identity.serial,
    notBefore: identity.notBefore,
    expiresAt: identity.expiresAt,
    rootDer: Buffer.from(mesh.root.certificateDer).toString('base64'),
    chainDer: identity.chainDer.map((der) => Buffer.from(der).toString('base64')),
  };
}

if (import.meta.main) await serve(JSON.parse(process.argv[2] ?? '{}') as FaultSidecar);

async function serve(config: FaultSidecar): Promise<void> {
  const mesh = createFakeMesh();
  const ports = [
    {
      port: config.protocol === 'tcp' ? 6379 : 80,
      name: config.protocol,
      protocol: config.protocol,
    },
  ];
  const { attempts, ...outlierDetection } = config.retries ?? {};
  const traffic = {
    outlierDetection,
    ...(attempts === undefined ? {} : { retries: { attempts } }),
  };
  const service = fakeService(mesh, 'orders', { ports, traffic });
  const isServer = config.appPort !== undefined;
  const workload = fakeWorkload(
    fakeSnapshot(mesh, {
      service: config.identity.account,
      inbound: isServer ? ports : [],
      policies: [fakePolicy('ALLOW', 'web', { principal: ['cluster.local/ns/default/sa/web'] })],
      upstreams: [{ ...service, timeouts: { ...service.timeouts, ...config.timeouts } }],
      timeouts: config.timeouts ?? {},
    }),
    revive(config.identity),
  );
  const any = { host: '127.0.0.1', port: 0 };
  const endpoints = config.endpoints ?? [];
  const proxy = await createProxy(
    workload.options({
      appPort: config.appPort,
      endpoints: () => endpoints,
      // Kept nowhere: a load of minutes would fill the test's memory, not the proxy's.
      records: { record: () => {} },
      listen: {
        inbound: isServer ? any : undefined,
        hbone: isServer ? any : undefined,
        outbound: isServer ? undefined : any,
        upstreams: isServer ? [] : [{ service: 'orders', localPort: 0 }],
      },
    }),
  );
  const { inboundPort, hbonePort, outboundPort, upstreamPorts } = proxy;
  console.log(JSON.stringify({ inboundPort, hbonePort, outboundPort, upstreamPorts }));
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit(0));
  lines.on('line', () => {
    void workload.metrics.exposition(false).then(({ body }) => {
      const rss = process.memoryUsage.rss();
      console.log(JSON.stringify({ metrics: body, rss, endpoints: proxy.endpoints() }));
    });
  });
}

function revive(identity: PortableIdentity): WorkloadIdentity {
  const parsed = parseTrustDomain('cluster.local');
  if (!parsed.ok) throw new Error(parsed.error);
  const root = new X509Certificate(Buffer.from(identity.rootDer, 'base64'));
  return {
    id: workloadSpiffeId(parsed.value, 'default', identity.account),
    privateKeyPem: identity.privateKeyPem,
    chainPem: identity.chainPem,
    chainDer: identity.chainDer.map((der) => Buffer.from(der, 'base64')),
    serial: identity.serial,
    notBefore: identity.notBefore,
    expiresAt: identity.expiresAt,
    bundles: [{ trustDomain: parsed.value, x509Roots: [root] }],
  };
}
