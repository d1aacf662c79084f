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
function start(
  more: {
    folder?: string;
    evidence?: EvidenceSource;
    startMs?: number;
    revocations?: RevocationCheck;
  } = {},
) {
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
  const revocations = createCell<RevocationCheck>(more.revocations ?? nothingRevoked);
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
    revocations,
    evidence: more.evidence,
    clock: scheduler.clock,
    random: () => 0.5,
    scheduler,
    log: createSilentLog(),
  });
  return { root, identity, scheduler, asked, refused, revocations };
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

async function asksFor(how: string, { asked, scheduler }: Agent, from = 0): Promise<void> {
  for (let turn = 0; turn < 1000 && !asked.slice(from).includes(how); turn += 1) {
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

const everybody: RevocationCheck = () => ({ code: 'revoked', message: 'a test' });

test('an agent that was revoked can ask with what is issued to it whether that was lifted, and go on with it', async () => {
  const agent = start();
  await identified(agent);
  const before = agent.identity.current()?.serial;
  agent.refused.add('svid').add('enrol with the-token');
  agent.revocations.set(everybody);
  await asksFor('enrol with the-token', agent, agent.asked.length);
  assert.equal(agent.identity.current(), undefined);
  assert.equal(agent.identity.doubted(), undefined, 'the authority refuses it as well');
  // The authority has heard that it was lifted. The agent has not: nobody talks to one without an identity.
  agent.refused.clear();
  for (let turn = 0; turn < 1000 && agent.identity.doubted() === undefined; turn++) {
    await agent.scheduler.pass(60_000);
    await realTurn();
  }
  const doubted = agent.identity.doubted();
  assert.ok(doubted !== undefined && doubted.serial !== before);
  assert.equal(agent.identity.current(), undefined, 'nothing is served or listened to by it');
  const told: (string | undefined)[] = [];
  agent.identity.onChange((identity) => told.push(identity?.serial));
  agent.revocations.set(nothingRevoked);
  const now = agent.identity.current();
  assert.deepEqual(told, [now?.serial]);
  assert.equal(agent.identity.doubted(), undefined);
  agent.identity.close();
  // Its proof after a sleep is the certificate that it got while it was in doubt, not the one before.
  const again = start({ folder: agent.root, startMs: agent.scheduler.clock() });
  assert.equal(again.identity.current()?.serial, now?.serial);
  again.identity.close();
});
