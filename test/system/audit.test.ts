// The audit log of real processes: killed while they write, and owned by somebody who rewrites it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openAuditLog, verifyFolder } from '#audit';
import { openSession } from '#client';
import type { TestMesh } from './mesh.ts';
import { type MeshParts, prepareParts } from './mesh-parts.ts';
import { until } from './until.ts';

const CHILD = fileURLToPath(new URL('audit-child.ts', import.meta.url));
const ROUNDS = 50;

function onError(error: unknown): void {
  throw error;
}

test(`kill -9 at ${ROUNDS} random moments loses nothing acknowledged and repeats nothing`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-audit-'));
  const acknowledged = new Set<string>();
  let attempted = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const printed = await killedAt(folder, attempted, 1 + Math.random() * 60);
      for (const name of printed) acknowledged.add(name);
      // What was in flight may be on disk too; the next run goes on with other names.
      attempted += printed.length + 1_000;
    }
    const log = openAuditLog({ folder, clock: Date.now, onError });
    const events = await log.readAfter(-1, Number.MAX_SAFE_INTEGER);
    await log.close();
    const names = events.map((event) => event['target.name'] ?? '');
    assert.ok(acknowledged.size > ROUNDS, `only ${acknowledged.size} were acknowledged`);
    assert.equal(new Set(names).size, names.length, 'one is there twice');
    const there = new Set(names);
    assert.deepEqual(
      [...acknowledged].filter((name) => !there.has(name)),
      [],
    );
    assert.deepEqual(
      events.map(({ index }) => index),
      names.map((_, i) => i),
    );
    assert.equal((await verifyFolder(folder, [])).problem, undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

async function killedAt(folder: string, from: number, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, folder, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  const ended = once(child, 'close');
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  await once(child.stdout, 'data');
  await delay(afterMs);
  child.kill('SIGKILL');
  await ended;
  // A line that was cut off was printed all the same.
  return text.split('\n').slice(1, -1);
}

test('a control plane whose log was rewritten is found out by the authority, agents and auditors', async () => {
  const parts = await prepareParts();
  try {
    for (const part of ['ca', 'control', 'agent'] as const) await parts.start(part);
    const mesh = parts.mesh();
    await mesh.apply(SERVICE);
    await mesh.apply(BACKDOOR);
    const kept = join(parts.dataDir, 'agent', 'audit-checkpoint.json');
    await until('the agent keeps a checkpoint with the commits', async () => {
      const log = await verification(mesh);
      return log?.state === 'verified' && existsSync(kept) && sizeIn(kept) === log.size;
    });
    const exported = join(parts.dataDir, 'before.jsonl');
    assert.equal((await mesh.cli('audit', 'export', '--out', exported)).status, 0);
    const nowhere = await mesh.cli('audit', 'export', '--out', '/dev/null/audit.jsonl');
    assert.equal(nowhere.status, 2);
    assert.match(nowhere.stderr, /^palisade: cannot write `.+`: a part .+\n {2}help: name another/);
    const part = join(parts.dataDir, 'part.jsonl');
    await mesh.cli('audit', 'export', '--action', 'policy', '--out', part);
    const partly = await mesh.cli('audit', 'verify', '-f', part);
    assert.match(partly.stdout, /^audit log: \d+ selected records verified, each by its place/);
    const verified = await mesh.cli('audit', 'verify');
    assert.equal(verified.status, 0, verified.stderr);

    // Whoever owns the control plane takes the commit that opened the back door out of its log.
    await parts.running.get('control')?.stop();
    await rewrite(join(parts.dataDir, 'control', 'audit'));
    await parts.start('control');
    const auditor = await mesh.cli('audit', 'verify', '--since', kept);
    assert.equal(auditor.status, 1);
    assert.match(auditor.stderr, /record \d+: .*(rewritten or forked|rolled back or cut off)/);
    const remembered = await mesh.cli('audit', 'verify', '--full');
    assert.equal(remembered.status, 1, 'what was verified here before is remembered');
    await until('the control plane says so itself', async () => {
      const log = await verification(mesh);
      return log?.state === 'failed' && /rewritten|rolled back/.test(log.problem.message);
    });
    // An identity is issued, so the agent looks at what the authority logged and says.
    const service = mesh.run('orders', ['sleep', '60']);
    await until('the agent says so in the status of the mesh', async () => {
      const { stdout } = await mesh.cli('status', '-o', 'json');
      return /audit log.*(rewritten|rolled back|tampered)/.test(stdout);
    });
    await (await service).run.stop();
    // What was exported before still verifies, without asking anybody.
    const offline = await mesh.cli('audit', 'verify', '-f', exported);
    assert.equal(offline.status, 0, offline.stderr);
    const folder = join(parts.dataDir, 'control', 'audit');
    const original = await mesh.cli('audit', 'verify', '-f', `${folder}.old`);
    assert.equal(original.status, 0, original.stderr);
    const forged = await mesh.cli('audit', 'verify', '-f', folder, '--since', kept);
    assert.equal(forged.status, 1);
    assert.match(forged.stderr, /record \d+: /);
    const text = readFileSync(exported, 'utf8');
    writeFileSync(exported, text.replaceAll('back-door', 'front-door'));
    const edited = await mesh.cli('audit', 'verify', '-f', exported);
    assert.equal(edited.status, 1);
    assert.match(edited.stderr, /record \d+: the record is not what was logged/);
  } finally {
    await close(parts);
  }
});

/** The same records but one, as a chain without a flaw. */
async function rewrite(folder: string): Promise<void> {
  const log = openAuditLog({ folder, clock: Date.now, onError });
  const events = await log.readAfter(-1, 1_000);
  await log.close();
  renameSync(folder, `${folder}.old`);
  const forged = openAuditLog({ folder, clock: Date.now, onError });
  for (const event of events) {
    if (event.diff?.includes('back-door') !== true) await forged.append(event);
  }
  await forged.close();
  assert.ok(forged.newestIndex() < events.length - 1, 'the commit was in the log');
  assert.equal((await verifyFolder(folder, [])).problem, undefined, 'by itself nothing shows');
}

type Verification = {
  readonly size: number;
  readonly state: string;
  readonly problem: { readonly message: string };
};

/** What the control plane says of its own log; undefined while it does not answer. */
async function verification(mesh: TestMesh): Promise<Verification | undefined> {
  const session = openSession({ dataDir: mesh.dataDir });
  assert.ok(session.ok);
  const asked = session.value.api.call<{ logs: Verification[] }>('GET', '/audit/verification');
  return (await asked.catch(() => undefined))?.logs[0];
}

function sizeIn(checkpoint: string): number {
  const { payload } = JSON.parse(readFileSync(checkpoint, 'utf8'));
  return JSON.parse(Buffer.from(payload, 'base64').toString('utf8')).size;
}

async function close(parts: MeshParts): Promise<void> {
  await parts.close();
  rmSync(parts.dataDir, { recursive: true, force: true });
}

const SERVICE = `
apiVersion: palisade.dev/v1
kind: Mesh
metadata: { name: mesh, namespace: palisade-system }
spec: { trustDomain: cluster.local }
---
apiVersion: palisade.dev/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ name: http, port: 80, protocol: http }] }
`;

const BACKDOOR = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: back-door }
spec:
  selector: { matchLabels: { app: orders } }
  rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/eve] } }] }]
`;
