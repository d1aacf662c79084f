// An authority below another one that nobody renewed in time: the alert comes, says what helps, and ends when that is done.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  createRoot,
  derToPem,
  issueIntermediate,
  parseAuthorityCsr,
  parseTrustDomain,
  pemToDer,
} from '#identity';
import { type Finished, startTestMesh, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const parsed = parseTrustDomain('cluster.local');
assert.ok(parsed.ok);
const trustDomain = parsed.value;
const corporate = createRoot({
  trustDomain,
  nowMs: Date.now() - DAY,
  ttlMs: 3650 * DAY,
  commonName: 'Corporate root',
});

const folder = mkdtempSync(join(tmpdir(), 'palisade-expiring-'));
let mesh: TestMesh;
before(async () => {
  mesh = await startTestMesh();
});
after(async () => {
  await mesh?.close();
  rmSync(folder, { recursive: true });
});

test('nothing is due in a mesh of today', async () => {
  const status = await mesh.cli('ca', 'status');
  assert.equal(status.status, 0, status.stdout + status.stderr);
  assert.equal(await expiring(), undefined);
});

test('an issuer in the last third of its life is a page that names it and what helps', async () => {
  // Half an hour of three is left.
  await certify({ nowMs: Date.now() - 150 * MINUTE, ttlMs: 180 * MINUTE });
  succeeded(await mesh.cli('ca', 'rotate'));
  // Asking is what brings it at once; by itself the control plane asks the authority each half minute.
  assert.equal((await mesh.cli('ca', 'status')).status, 1);
  const alert = await until('the alert', expiring);
  assert.deepEqual([alert.severity, alert.state, alert.labels.kind], ['page', 'firing', 'issuer']);
  assert.match(alert.summary, /issuer [0-9a-f]{32} expires on .* palisade ca csr, then/);
  assert.equal(alert.command, 'palisade ca status');
  assert.equal(alert.runbook, 'docs/runbooks/authority-expiring.md');
  // What the alert says to run, what the runbook says to look at, and what else somebody may look at.
  const status = await mesh.cli(...alert.command.split(' ').slice(1));
  assert.equal(status.status, 1, status.stdout);
  assert.match(status.stdout, new RegExp(`issuer ${alert.labels.name}.*soon.*palisade ca csr`));
  assert.match((await mesh.cli('doctor')).stdout, new RegExp(`issuer ${alert.labels.name}`));
});

test('what the runbook says to do ends its cause', async () => {
  // The issuer of now stands below a root that stays: nothing has to be rotated.
  await certify({ nowMs: Date.now(), ttlMs: 90 * DAY });
  const { stdout } = await mesh.cli('ca', 'status');
  assert.match(stdout, /issuer [0-9a-f]{32} +(89|90)d +ok/);
  assert.match(stdout, /issuer [0-9a-f]{32} +(29|30)m +ok/, 'the one that has its successor');
});

/** `ca csr`, the corporate authority's signature, `ca import-chain`: as step 3 of the runbook has it. */
async function certify(about: { readonly nowMs: number; readonly ttlMs: number }): Promise<void> {
  const csr = succeeded(await mesh.cli('ca', 'csr'));
  const [der] = pemToDer(csr.stdout, 'CERTIFICATE REQUEST');
  const request = parseAuthorityCsr(der ?? new Uint8Array());
  assert.ok(request.ok);
  const { publicKeyDer } = request.value;
  const own = issueIntermediate({ issuer: corporate, trustDomain, publicKeyDer, ...about });
  const chain = join(folder, 'chain.pem');
  writeFileSync(chain, derToPem(own) + corporate.certificatePem);
  succeeded(await mesh.cli('ca', 'import-chain', chain));
}

type Alert = {
  readonly name: string;
  readonly state: string;
  readonly severity: string;
  readonly summary: string;
  readonly runbook: string;
  readonly command: string;
  readonly labels: { readonly kind?: string; readonly name?: string };
};

async function expiring(): Promise<Alert | undefined> {
  const listed = await mesh.cli('alerts', 'list', '-o', 'json');
  const alerts = JSON.parse(listed.stdout || '[]') as readonly Alert[];
  return alerts.find(
    ({ name, labels }) => name === 'authority-expiring' && labels.kind === 'issuer',
  );
}

function succeeded(done: Finished): Finished {
  assert.equal(done.status, 0, done.stdout + done.stderr);
  return done;
}
