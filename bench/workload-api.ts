// What applications feel of the agent: how long the SPIFFE Workload API takes to answer, from a new registration to its
// first SVID, and what two hundred workloads cost. A real agent in a process of its own, bundled and started as
// `palisade agent` is, with a real CA and control plane.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Metadata } from '@grpc/grpc-js';
import { rolldown } from 'rolldown';
import { commitChanges, loadAuthor, openSession, type Session } from '#client';
import { parseSpiffeId } from '#identity';
import { SIDECAR_ENV, SIDECAR_FLAGS } from '#local';
import { parseStoredResource } from '#resource';
import { createSilentLog } from '#telemetry';
import { createPolicyKey, loadSigner } from '#trust';
import {
  createGrpcClient,
  createMessage,
  encodeMessage,
  JWTSVIDRequestSchema,
  SpiffeWorkloadAPI,
  type X509SVIDResponse,
} from '#wire';
import { asciiOnly } from '../src/bin/ascii-only.ts';
import { openDatabase } from '../src/ca/database.ts';
import { openIssuanceLog } from '../src/ca/issuance-log.ts';
import { createIssueJwt } from '../src/ca/issue-jwt.ts';
import { openJwtKeys } from '../src/ca/jwt-keys.ts';
import { type Running, start, startTestMesh } from '../test/system/mesh.ts';
import { quantile } from './quantile.ts';
import { type ByteClient, connectBytes } from './workload-bytes.ts';

const WORKLOADS = 200;
const FIRST_UID = 100_000;
const CALLS = 1_000;
const REGISTRATIONS = 100;
const TOKENS = 20_000;
const AT_ONCE = 64;
const BURSTS = 10;
// Until the authority allows one agent two hundred certificates at once again, 50 a second.
const REFILL_MS = 4_500;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
// As deep below the root as src/LAYER/, so that the code finds its files from there.
const CHILD = join(ROOT, 'dist', 'bench', 'agent-child.js');
const CACHE = join(ROOT, 'node_modules', '.cache', 'palisade');
const API = SpiffeWorkloadAPI.method;

/** Prints the table and, last, `workload-api <p50 of a signed JWT-SVID in ms> ms`. */
export default async function run(): Promise<void> {
  await issueTokens();
  await bundleChild();
  const mesh = await startTestMesh();
  let agent: Running | undefined;
  try {
    const session = openSession({ dataDir: mesh.dataDir });
    if (!session.ok) throw new Error(session.error);
    await register(
      session.value,
      Array.from({ length: WORKLOADS }, (_, i) => workload(i)),
    );
    agent = await startAgent(mesh.dataDir);
    const socket = join(mesh.dataDir, 'bench-agent', 'agent.sock');
    const signed = await measureCalls(socket, agent);
    await agent.stop();
    await delay(REFILL_MS);
    agent = await startAgent(mesh.dataDir);
    await measureFirstSvid(session.value, socket);
    await agent.stop();
    await delay(REFILL_MS);
    agent = await startAgent(mesh.dataDir, performance.now());
    await measureRestart(socket, agent);
    console.log(`workload-api ${signed.toFixed(2)} ms`);
  } finally {
    await agent?.stop();
    await mesh.close();
  }
}

/** The authority alone: keys, log with its fsync for many, signature. */
async function issueTokens(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const signer = loadSigner(createPolicyKey().privateKeyPem);
  const id = parseSpiffeId('spiffe://cluster.local/ns/default/sa/web');
  if (!signer.ok || !id.ok) throw new Error('no key');
  const common = { clock: Date.now, log: createSilentLog() };
  const path = join(folder, 'jwt-keys.json');
  const trustDomain = 'cluster.local';
  const keys = openJwtKeys({ ...common, path, trustDomain, logSigner: signer.value });
  const issuanceLog = openIssuanceLog(openDatabase(join(folder, 'ca.db')));
  const issue = createIssueJwt({ ...common, keys, issuanceLog });
  const grant = {
    id: id.value,
    audience: ['reports'],
    ttlMs: 300_000,
    selectors: ['unix:uid:1000'],
    requestedBy: 'spiffe://cluster.local/palisade/agent/host',
    allowedBy: 'default@1',
    attestation: 'process' as const,
  };
  const before = process.cpuUsage();
  const begun = performance.now();
  for (let i = 0; i < TOKENS; i += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => issue(grant)));
  }
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(before);
  const perCore = TOKENS / ((user + system) / 1_000_000);
  row('JWT-SVIDs signed and logged, per second', `${(TOKENS / seconds).toFixed(0)}`);
  row('the same per second of CPU', `${perCore.toFixed(0)}`);
  rmSync(folder, { recursive: true });
}

/** As src/bin/bundle.ts does for the processes that users start. */
async function bundleChild(): Promise<void> {
  const input = { 'agent-child': join(ROOT, 'bench', 'agent-child.ts') };
  const external = [/^koffi/, /^pino/, /^@grpc\/proto-loader/];
  const bundle = await rolldown({
    cwd: ROOT,
    input,
    platform: 'node',
    external,
    plugins: [asciiOnly()],
    logLevel: 'warn',
  });
  await bundle.write({
    dir: join(ROOT, 'dist', 'bench'),
    format: 'esm',
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  });
  await bundle.close();
}

async function startAgent(dataDir: string, begun?: number): Promise<Running> {
  const arguments_ = [CHILD, dataDir, String(WORKLOADS), String(FIRST_UID)];
  const agent = start([process.execPath, ...SIDECAR_FLAGS, ...arguments_], {
    ...process.env,
    ...SIDECAR_ENV,
    // As the launcher has it, once `npm ci` has warmed it.
    NODE_COMPILE_CACHE: CACHE,
  });
  await agent.printed(/^ready/m, 30_000);
  if (begun !== undefined)
    row('agent process until its socket is there', ms(performance.now() - begun));
  return agent;
}

function clientOf(path: string) {
  return createGrpcClient(SpiffeWorkloadAPI, { kind: 'unix', path });
}

function header(): Metadata {
  const metadata = new Metadata();
  metadata.set('workload.spiffe.io', 'true');
  return metadata;
}

function firstAnswer(client: ReturnType<typeof clientOf>): Promise<X509SVIDResponse> {
  const call = client.serverStream(API.fetchX509SVID, {}, header());
  return new Promise((resolve, reject) => {
    call.on('error', reject);
    call.once('data', (response: X509SVIDResponse) => {
      resolve(response);
      call.cancel();
    });
  });
}

/** The agent's very first policy comes set by set. */
async function served(client: ReturnType<typeof clientOf>): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const answer = await firstAnswer(client).catch(() => undefined);
    if (answer !== undefined) return;
    await delay(50);
  }
  throw new Error('the agent serves nobody');
}

/**
 * Callers on open connections, first of nothing but bytes: what the agent takes. Then with a whole client of gRPC in
 * Node.js, whose own work counts as much again. Returns the median of a signed token.
 */
async function measureCalls(socket: string, agent: Running): Promise<number> {
  const client = clientOf(socket);
  await served(client);
  // Four of them in turn: a server takes a thousand cancelled streams of one client for an attack (CVE-2023-44487).
  const callers = await Promise.all([1, 2, 3, 4].map(() => connectBytes(socket)));
  const [first] = callers;
  if (first === undefined) throw new Error('no connection');
  const next = (i: number) => callers[i % callers.length] ?? first;
  const svid = (i: number) => next(i).first(pathOf(API.fetchX509SVID), new Uint8Array());
  await times(callers.length, svid);
  await fetchToken(first, 'warm');
  const before = cpuMs(agent);
  report('X.509: first message on an open connection', await times(CALLS, svid));
  row('the agent’s CPU for each of these', ms((cpuMs(agent) - before) / CALLS));
  const beforeTokens = cpuMs(agent);
  report('JWT-SVID from the agent’s cache', await times(CALLS, () => fetchToken(first, 'warm')));
  row('the agent’s CPU for each of these', ms((cpuMs(agent) - beforeTokens) / CALLS));
  // The authority allows each agent 50 a second and 200 at once, 10 a second and 100 at once for one identity.
  report(
    'JWT-SVID signed by the authority, the first 150',
    await times(150, (i) => fetchToken(next(i), `audience-${i}`)),
  );
  const signed = await measureWarm(next);
  report('the same once warm', signed);
  const viaGrpc = await times(CALLS / 2, () => firstAnswer(client));
  report('X.509 on an open connection, with grpc-js', viaGrpc);
  for (const caller of [client, ...callers]) caller.close();
  const fresh = await times(200, async () => {
    const own = await connectBytes(socket);
    await own.first(pathOf(API.fetchX509SVID), new Uint8Array());
    own.close();
  });
  report('X.509: first message on a new connection', fresh.slice(WORKLOADS / 2));
  return quantile(signed, 0.5);
}

/** Burst after burst, as the authority allows them, until code has become machine code; the last one counts. */
async function measureWarm(next: (i: number) => ByteClient): Promise<number[]> {
  let took: number[] = [];
  for (let burst = 0; burst < BURSTS; burst++) {
    await delay(3_300);
    took = await times(160, (i) => fetchToken(next(i), `burst-${burst}-${i}`));
  }
  return took;
}

function fetchToken(caller: ByteClient, audience: string): Promise<Buffer> {
  const request = createMessage(JWTSVIDRequestSchema, { audience: [audience] });
  return caller.unary(pathOf(API.fetchJWTSVID), encodeMessage(JWTSVIDRequestSchema, request));
}

function pathOf({ name }: { readonly name: string }): string {
  return `/${SpiffeWorkloadAPI.typeName}/${name}`;
}

/** From handing in a registration to the moment an open stream holds its SVID. */
async function measureFirstSvid(session: Session, socket: string): Promise<void> {
  const client = clientOf(socket);
  const waiting = new Map<string, () => void>();
  const call = client.serverStream(API.fetchX509SVID, {}, header());
  call.on('error', () => {
    // Cancelled at the end.
  });
  call.on('data', ({ svids }: X509SVIDResponse) => {
    for (const { spiffeId } of svids) waiting.get(spiffeId)?.();
  });
  const took = await times(REGISTRATIONS, async (i) => {
    const { resource, id } = workload(0, `late-${i}`);
    const served = new Promise<void>((resolve) => waiting.set(id, resolve));
    await register(session, [{ resource, id }]);
    await served;
  });
  report('new registration until its SVID is in hand', took);
  call.cancel();
  client.close();
  await register(session, [], (key) => key.startsWith('Registration/late-'));
}

/** Two hundred workloads that wait for the agent to come back. */
async function measureRestart(socket: string, agent: Running): Promise<void> {
  const begun = performance.now();
  const clients = Array.from({ length: WORKLOADS }, () => clientOf(socket));
  const streams = await Promise.all(
    clients.map(
      (client) =>
        new Promise<{ cancel: () => void }>((resolve, reject) => {
          const call = client.serverStream(API.fetchX509SVID, {}, header());
          call.on('error', reject);
          call.once('data', () => {
            call.removeAllListeners('error').on('error', () => {
              // Cancelled at the end.
            });
            resolve(call);
          });
        }),
    ),
  );
  row(`${WORKLOADS} workloads served after that`, ms(performance.now() - begun));
  row('the agent’s CPU from its start to then', ms(cpuMs(agent)));
  const status = readFileSync(`/proc/${agent.child.pid}/status`, 'utf8');
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
  row(`agent's memory with ${WORKLOADS} open streams`, `${(kilobytes / 1024).toFixed(0)} MB`);
  for (const stream of streams) stream.cancel();
  for (const client of clients) client.close();
}

/** CPU time of a process since its start. */
function cpuMs(running: Running): number {
  const stat = readFileSync(`/proc/${running.child.pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  // Clock ticks are hundredths of a second on Linux.
  return (Number(user) + Number(system)) * 10;
}

async function times(count: number, work: (i: number) => Promise<unknown>): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    await work(i);
    took.push(performance.now() - begun);
  }
  return took;
}

function workload(index: number, name = `workload-${index}`) {
  const id = `spiffe://cluster.local/ns/default/sa/${name}`;
  const spec = { spiffeId: id, selectors: [`unix:uid:${FIRST_UID + index}`] };
  const metadata = { name, namespace: 'default' };
  const parsed = parseStoredResource({
    apiVersion: 'palisade.dev/v1',
    kind: 'Registration',
    metadata,
    spec,
  });
  if (!parsed.ok) throw new Error(parsed.error);
  return { id, resource: { key: `Registration/${name}`, resource: parsed.value } };
}

async function register(
  session: Session,
  workloads: readonly ReturnType<typeof workload>[],
  isGone: (key: string) => boolean = () => false,
): Promise<void> {
  const author = loadAuthor(session.folder);
  if (!author.ok) throw new Error(author.error);
  const stored = await commitChanges({
    api: session.api,
    namespace: 'default',
    trustRoot: session.trustRoot,
    author: author.value,
    changes: ({ set }) => [
      ...workloads.map(({ resource }) => resource),
      ...[...(set?.resources.keys() ?? [])]
        .filter(isGone)
        .map((key) => ({ key, resource: undefined })),
    ],
  });
  if (!stored.ok) throw new Error(stored.error.message);
}

function report(what: string, took: readonly number[]): void {
  row(what, `p50 ${ms(quantile(took, 0.5))}, p99 ${ms(quantile(took, 0.99))}`);
}

function row(what: string, value: string): void {
  console.log(`${what.padEnd(48)} ${value}`);
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}
