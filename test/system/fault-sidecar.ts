// Sidecars in a process of their own without a control plane, so that a test decides where their endpoints are and can
// break what lies between. `node fault-sidecar.ts`: each line on its input is a sidecar to start, answered by its ports,
// or `look N`, answered by what the N-th says of itself; all in lines of JSON.
import { X509Certificate } from 'node:crypto';
import { createInterface } from 'node:readline';
import { parseTrustDomain, type WorkloadIdentity, workloadSpiffeId } from '#identity';
import { createProxy, type Proxy } from '#proxy';
import {
  createFakeMesh,
  type FakeMesh,
  type FakeTraffic,
  type FakeWorkload,
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
  /** What a server lacks: policies that allow, or all policy. */
  readonly without?: 'permission' | 'snapshot';
  /** Requests and connections at once that a caller's sidecar bears. */
  readonly limits?: { readonly maxRequests?: number; readonly maxConnections?: number };
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

if (import.meta.main) {
  const started: Started[] = [];
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit(0));
  lines.on('line', (line) => void answer(line, started).then((said) => console.log(said)));
}

type Started = { readonly proxy: Proxy; readonly workload: FakeWorkload };

async function answer(line: string, started: Started[]): Promise<string> {
  const looked = /^look (\d+)$/.exec(line);
  if (looked === null) {
    const sidecar = await startSidecar(JSON.parse(line));
    started.push(sidecar);
    const { inboundPort, hbonePort, outboundPort, upstreamPorts } = sidecar.proxy;
    return JSON.stringify({ inboundPort, hbonePort, outboundPort, upstreamPorts });
  }
  const { proxy, workload } = started[Number(looked[1])] as Started;
  const { body } = await workload.metrics.exposition(false);
  global.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const held = heapUsed + external;
  return JSON.stringify({ metrics: body, rss, held, endpoints: proxy.endpoints() });
}

async function startSidecar(config: FaultSidecar): Promise<Started> {
  const mesh = createFakeMesh();
  const port = config.protocol === 'tcp' ? 6379 : 80;
  const ports = [{ port, name: config.protocol, protocol: config.protocol }];
  const { limits = {}, retries: { attempts, ...outlierDetection } = {} } = config;
  const retries = attempts === undefined ? {} : { attempts };
  const service = fakeService(mesh, 'orders', {
    ports,
    traffic: { outlierDetection, retries, limits },
  });
  const isServer = config.appPort !== undefined;
  const allowed = fakePolicy('ALLOW', 'web', { principal: ['cluster.local/ns/default/sa/web'] });
  const snapshot = fakeSnapshot(mesh, {
    service: config.identity.account,
    inbound: isServer ? ports : [],
    policies: config.without === 'permission' ? [] : [allowed],
    upstreams: [{ ...service, timeouts: { ...service.timeouts, ...config.timeouts } }],
    timeouts: config.timeouts ?? {},
  });
  const workload = fakeWorkload(
    config.without === 'snapshot' ? undefined : snapshot,
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
  return { proxy, workload };
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
