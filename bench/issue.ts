// What one core of the authority issues: the CSR parsed and its proof checked, the registrations and the host's evidence
// looked up, the certificate signed, and its entry in the log on disk before it is handed out. Without the network.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createCsr,
  createKeyPair,
  createRoot,
  parseCsr,
  parseSpiffeId,
  parseTrustDomain,
} from '#identity';
import { parseStoredResource, type RegistrationResource } from '#resource';
import { createSilentLog } from '#telemetry';
import { decideSvid } from '../src/ca/check.ts';
import { openDatabase } from '../src/ca/database.ts';
import { openHosts } from '../src/ca/hosts.ts';
import { openIssuanceLog } from '../src/ca/issuance-log.ts';
import { createIssue } from '../src/ca/issue.ts';
import { quantile } from './quantile.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 8);
const IDENTITIES = 1_000;
const IN_FLIGHT = 64;
const TICK_MS = 2;

/** Prints the throughput, the latency at half of it and, last, `issue <certificates> per second and core`. */
export default async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-issue-'));
  const database = openDatabase(join(folder, 'ca.db'));
  try {
    const issueOne = prepare(database);
    await throughput(issueOne, 2);
    const full = await throughput(issueOne, SECONDS);
    const late = await latencyAt(issueOne, full.aSecond / 2);
    const at = (q: number) => `${quantile(late, q).toFixed(1)} ms`;
    console.log(
      `${IN_FLIGHT} requests at a time:      ${full.aCore.toFixed(0)} certificates a second of CPU, ${full.aSecond.toFixed(0)} of time`,
    );
    console.log(`at half of the latter:      p50 ${at(0.5)}   p99 ${at(0.99)}   worst ${at(1)}`);
    console.log(`issue ${full.aCore.toFixed(0)} per second and core`);
  } finally {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function prepare(database: ReturnType<typeof openDatabase>): () => Promise<void> {
  const trustDomain = parseTrustDomain('cluster.local');
  const agent = parseSpiffeId('spiffe://cluster.local/palisade/agent/host');
  if (!trustDomain.ok || !agent.ok) throw new Error('the bench has bad names');
  const issuer = createRoot({
    trustDomain: trustDomain.value,
    nowMs: Date.now(),
    ttlMs: 3_600_000,
  });
  const log = createSilentLog();
  const issuanceLog = openIssuanceLog(database);
  const hosts = openHosts(database);
  const issue = createIssue({ issuer: () => issuer, issuanceLog, clock: Date.now, log });
  const registrations = new Map(Array.from({ length: IDENTITIES }, (_, i) => registrationOf(i)));
  const requests = Array.from({ length: IDENTITIES }, (_, i) => csrOf(i));
  let next = 0;
  return async () => {
    const csr = parseCsr(requests[next++ % IDENTITIES] ?? new Uint8Array());
    if (!csr.ok) throw new Error(csr.error);
    const selectors = ['unix:uid:1000', 'unix:user:app', 'palisade:service:default/app'];
    const registration = registrations.get(csr.value.id.text);
    const signed = registration === undefined ? [] : [{ registration, set: 'default@1' }];
    const host = hosts.evidenceOf(agent.value);
    const grant = decideSvid({ caller: agent.value, csr: csr.value, selectors, host }, signed);
    if (!grant.ok) throw new Error(grant.error.message);
    const issued = await issue.issue(grant.value);
    if (!issued.ok) throw new Error(issued.error.message);
  };
}

function registrationOf(index: number): [string, RegistrationResource] {
  const spiffeId = idOf(index);
  const parsed = parseStoredResource({
    apiVersion: 'palisade.dev/v1',
    kind: 'Registration',
    metadata: { name: `app-${index}`, namespace: 'default' },
    spec: { spiffeId, selectors: ['unix:uid:1000'] },
  });
  if (!parsed.ok || parsed.value.kind !== 'Registration') throw new Error('no registration');
  return [spiffeId, parsed.value];
}

function csrOf(index: number): Uint8Array {
  const id = parseSpiffeId(idOf(index));
  if (!id.ok) throw new Error(id.error);
  return createCsr({ ...createKeyPair(), id: id.value });
}

function idOf(index: number): string {
  return `spiffe://cluster.local/ns/default/sa/app-${index}`;
}

/** Certificates a second of CPU, with as many requests at a time as an authority under pressure has. */
async function throughput(
  issueOne: () => Promise<void>,
  seconds: number,
): Promise<{ readonly aCore: number; readonly aSecond: number }> {
  const deadline = performance.now() + seconds * 1000;
  const cpu = process.cpuUsage();
  let count = 0;
  const worker = async () => {
    while (performance.now() < deadline) {
      await issueOne();
      count++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const { user, system } = process.cpuUsage(cpu);
  return { aCore: count / ((user + system) / 1e6), aSecond: count / seconds };
}

/** Latencies when requests come at `perSecond`, however long each takes. */
async function latencyAt(issueOne: () => Promise<void>, perSecond: number): Promise<number[]> {
  const late: number[] = [];
  const pending: Promise<void>[] = [];
  const begun = performance.now();
  let sent = 0;
  while (performance.now() < begun + SECONDS * 1000) {
    const due = ((performance.now() - begun) / 1000) * perSecond;
    for (; sent < due; sent++) {
      const at = begun + (sent / perSecond) * 1000;
      pending.push(issueOne().then(() => void late.push(performance.now() - at)));
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(pending);
  return late;
}
