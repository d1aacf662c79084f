// What a sidecar's memory is made of: services known, connections that idle, and requests served, beside an Envoy that
// knows as many services.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, get, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createFakeMesh } from '../src/proxy/fake-mesh.ts';
import { freePort, type Service, startTestMesh, type TestMesh } from '../test/system/mesh.ts';
import { envoyBinary } from './pairs.ts';

const SERVICES = Number(process.env['BENCH_SERVICES'] ?? 1_000);
const IDLE = Number(process.env['BENCH_IDLE'] ?? 10_000);
const REQUESTS = Number(process.env['BENCH_REQUESTS'] ?? 300_000);
const CONNECTIONS = 64;
/** So that what was only needed for a moment has been given back. */
const SETTLE_MS = 4_000;

/** Prints the table and, last, `memory <MB of a sidecar with 10,000 idle connections> MB`. */
export default async function run(): Promise<void> {
  const origin = createServer((_, response) => response.end('x'.repeat(1_024)));
  origin.keepAliveTimeout = 3_600_000;
  const mesh = await startTestMesh();
  try {
    const appPort = await listening(origin);
    const orders = await mesh.run('orders', ['sleep', '86400'], ['--app-port', String(appPort)]);
    const web = await mesh.run('web', ['sleep', '86400']);
    await mesh.apply(ALLOW);
    print('a sidecar that just started', await settledRss(web));
    await printFlatness(web, orders);
    const idle = await printIdle(web, orders);
    await printServices(mesh);
    console.log(`memory ${idle} MB`);
  } finally {
    await mesh.close();
    origin.closeAllConnections();
    origin.close();
  }
}

const ALLOW = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders }
spec:
  selector: { matchLabels: { app: orders } }
  action: ALLOW
  rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/web] } }] }]
`;

async function printFlatness(web: Service, orders: Service): Promise<void> {
  const port = web.ports.outboundPort;
  await requests(port, REQUESTS / 4);
  const before = [await settledRss(web), await settledRss(orders)];
  await requests(port, REQUESTS);
  const after = [await settledRss(web), await settledRss(orders)];
  const change = after.map((mb, at) =>
    (((mb - (before[at] ?? 0)) / (before[at] ?? 1)) * 100).toFixed(1),
  );
  print(`caller’s and server’s after ${REQUESTS / 4} requests`, ...before);
  print(`and after ${REQUESTS} more (${change.join(' % and ')} %)`, ...after);
}

async function printIdle(web: Service, orders: Service): Promise<number> {
  const sockets = await idleConnections(web.ports.outboundPort);
  const [caller, server] = [await settledRss(web), await settledRss(orders)];
  print(`with ${sockets.length} idle connections of the application’s`, caller, server);
  for (const socket of sockets) socket.destroy();
  print('after they left', await settledRss(web), await settledRss(orders));
  return caller;
}

async function printServices(mesh: TestMesh): Promise<void> {
  const names = Array.from({ length: SERVICES }, (_, at) => `service-${at}`);
  await mesh.apply(names.map(serviceYaml).join('---\n'));
  const knowing = await mesh.run('knowing', ['sleep', '86400']);
  await delay(SETTLE_MS);
  const ours = await settledRss(knowing);
  print(`a sidecar that knows ${SERVICES} services`, ours);
  const binary = envoyBinary();
  if (binary === undefined)
    return console.log('Envoy left out: set ENVOY_BIN or have `envoy` in PATH');
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const envoy = await startEnvoy(binary, folder, names);
  await delay(SETTLE_MS);
  const theirs = rssMb(envoy.pid ?? 0);
  print(`an Envoy that knows as many (ours is ${(ours / theirs).toFixed(2)} times that)`, theirs);
  envoy.kill('SIGKILL');
  await once(envoy, 'exit');
  rmSync(folder, { recursive: true, force: true });
}

const serviceYaml = (name: string): string => `apiVersion: palisade.dev/v1
kind: Service
metadata: { name: ${name} }
spec: { ports: [{ port: 80, protocol: http }] }
`;

/** As a mesh's sidecar has it: a cluster and a virtual host a service, each cluster with its own mutual TLS. */
async function startEnvoy(
  binary: string,
  folder: string,
  names: readonly string[],
): Promise<ChildProcess> {
  const mesh = createFakeMesh();
  const identity = mesh.issue('web');
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const cert = write('web.pem', identity.chainPem);
  const key = write('web.key', identity.privateKeyPem);
  const root = write('root.pem', mesh.root.certificatePem);
  const tls = {
    certificate_chain: { filename: cert },
    private_key: { filename: key },
  };
  const clusterOf = (name: string, at: number) => ({
    name,
    type: 'STATIC',
    connect_timeout: '2s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(20_000 + (at % 10_000)) } }] }],
    },
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        common_tls_context: {
          tls_certificates: [tls],
          validation_context: {
            trusted_ca: { filename: root },
            match_typed_subject_alt_names: [
              {
                san_type: 'URI',
                matcher: { exact: `spiffe://cluster.local/ns/default/sa/${name}` },
              },
            ],
          },
        },
      },
    },
  });
  const hosts = names.map((name) => ({
    name,
    domains: [name, `${name}.default`, `${name}.default.svc`, `${name}.default.svc.cluster.local`],
    routes: [{ match: { prefix: '/' }, route: { cluster: name } }],
  }));
  const config = {
    static_resources: {
      clusters: names.map(clusterOf),
      listeners: [
        {
          address: address(await freePort()),
          filter_chains: [{ filters: [connectionManager(hosts)] }],
        },
      ],
    },
  };
  const file = write('envoy.json', JSON.stringify(config));
  const child = spawn(
    binary,
    ['-c', file, '--use-dynamic-base-id', '--concurrency', '1', '-l', 'error'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await delay(2_000);
  if (child.exitCode !== null) throw new Error('Envoy did not start');
  return child;
}

function connectionManager(hosts: readonly unknown[]) {
  const filters = 'type.googleapis.com/envoy.extensions.filters';
  return {
    name: 'http',
    typed_config: {
      '@type': `${filters}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'outbound',
      route_config: { name: 'all', virtual_hosts: hosts },
      http_filters: [
        {
          name: 'router',
          typed_config: { '@type': `${filters}.http.router.v3.Router` },
        },
      ],
    },
  };
}

function address(port: number) {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

/** Each asks once and stays. */
async function idleConnections(port: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < IDLE) {
    const batch = Math.min(100, IDLE - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => askOnce(port)))));
  }
  return sockets;
}

async function askOnce(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n');
  await once(socket, 'data');
  return socket;
}

async function requests(port: number, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let left = count;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, agent, headers: { host: 'orders' } };
      get(options, (response) => {
        response.resume();
        response.on('end', resolve);
      }).on('error', reject);
    });
  const client = async (): Promise<void> => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  agent.destroy();
}

async function settledRss(service: Service): Promise<number> {
  await delay(SETTLE_MS);
  return rssMb(service.ports.pid);
}

function rssMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

function print(what: string, ...mb: readonly number[]): void {
  console.log(`${what.padEnd(66)} ${mb.map((value) => `${value} MB`).join('  ')}`);
}
