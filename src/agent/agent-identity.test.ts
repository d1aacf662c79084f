import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as realTurn } from 'node:timers/promises';
import { nothingRevoked, parseBundle, type RevocationCheck } from '#identity';
import { createCell } from '#lib';
import { createSilentLog } from '#telemetry';
import { createFakeScheduler } from '#testing';
import { createMessage, X509SvidResponseSchema } from '#wire';
import { createAgentIdentity } from './agent-identity.ts';
import type { EvidenceSource } from './evidence/evidence-source.ts';
import { createFakeMesh, TRUST_DOMAIN } from './fake-mesh.ts';
import { tryStateFolder } from './state-folder.ts';

const HOUR_MS = 3_600_000;
const mesh = createFakeMesh();
const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** An agent whose authority notes how it was asked, and refuses what `refused` names. */
function start(more: { folder?: string; evidence?: EvidenceSource; startMs?: number } = {}) {
  const root = more.folder ?? mkdtempSync(join(tmpdir(), 'palisade-identity-'));
  folders.push(root);
  writeFileSync(join(root, 'token'), 'the-token\n');
  const folder = tryStateFolder(root);
  assert.ok(folder.ok);
  const scheduler = createFakeScheduler(more.startMs);
  const bundle = parseBundle(TRUST_DOMAIN as never, mesh.rootPem);
  assert.ok(bundle.ok);
  const asked: string[] = [];
  const refused = new Set<string>();
  const sign = async (how: string, csr: Uint8Array) => {
    asked.push(how);
    if (refused.has(how)) throw new Error(`${how} is refused`);
    const leaf = mesh.sign(csr, { nowMs: scheduler.clock(), ttlMs: HOUR_MS });
    return createMessage(X509SvidResponseSchema, { chain: [leaf], hostSelectors: [`by:${how}`] });
  };
  const identity = createAgentIdentity({
    folder: folder.value,
    spiffeId: `spiffe://${TRUST_DOMAIN}/palisade/agent/a`,
    trust: () => ({ bundle: bundle.value, rootsPem: [mesh.rootPem] }),
    authority: {
      enrol: (token, csr) => sign(`enrol with ${token}`, csr),
      attest: ({ attestor }, { csr }) => sign(attestor, csr),
      issue: (_as, csr) => sign('renewal', csr),
    },
    joinToken: () => readFileSync(join(root, 'token'), 'utf8').trim(),
    revocations: createCell<RevocationCheck>(nothingRevoked),
    evidence: more.evidence,
    clock: scheduler.clock,
    random: () => 0.5,
    scheduler,
    log: createSilentLog(),
  });
  return { root, identity, scheduler, asked, refused };
}

type Agent = ReturnType<typeof start>;

/** Lets time pass until the agent has an identity; files are read and written in real time meanwhile. */
async function identified({ identity, scheduler }: Agent): Promise<void> {
  for (let turn = 0; turn < 5000 && identity.current() === undefined; turn += 1) {
    await scheduler.pass(1);
    await realTurn();
  }
  assert.ok(identity.current());
}

async function asksFor(how: string, { asked, scheduler }: Agent): Promise<void> {
  for (let turn = 0; turn < 1000 && !asked.includes(how); turn += 1) {
    await scheduler.pass(60_000);
    await realTurn();
  }
  assert.equal(asked.at(-1), how);
}

const evidence: EvidenceSource = {
  attestor: 'tpm',
  agent: async () => 'a',
  evidence: async () => ({}),
};

test('a new host enrols by the token, or by its evidence, and then renews', async () => {
  const [byToken, byEvidence] = [start(), start({ evidence })];
  for (const agent of [byToken, byEvidence]) {
    await identified(agent);
    await asksFor('renewal', agent);
  }
  assert.equal(byToken.asked[0], 'enrol with the-token');
  assert.equal(byEvidence.asked[0], 'tpm');
  for (const agent of [byToken, byEvidence]) agent.identity.close();
});

test('an agent that slept comes back by its last certificate', async () => {
  const first = start({ evidence });
  await identified(first);
  first.identity.close();
  const { root, scheduler } = first;
  const woken = start({ folder: root, evidence, startMs: scheduler.clock() + 24 * HOUR_MS });
  assert.equal(woken.identity.current(), undefined);
  await identified(woken);
  assert.deepEqual(woken.asked, ['svid']);
  woken.identity.close();
});

test('a last certificate that is not taken makes the host prove itself anew', async () => {
  const first = start();
  await identified(first);
  first.identity.close();
  const { root, scheduler } = first;
  const woken = start({ folder: root, startMs: scheduler.clock() + 24 * HOUR_MS });
  woken.refused.add('svid');
  await identified(woken);
  assert.deepEqual(woken.asked, ['svid', 'enrol with the-token']);
  woken.identity.close();
});

test('what the authority knows of the host is known again after a restart', async () => {
  const first = start({ evidence });
  await identified(first);
  first.identity.close();
  const again = start({ folder: first.root, evidence, startMs: first.scheduler.clock() });
  assert.deepEqual(again.identity.hostSelectors(), ['by:tpm']);
  assert.deepEqual(again.asked, []);
  again.identity.close();
});
