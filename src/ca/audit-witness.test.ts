import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openCheckpoint } from '#audit';
import { createSilentLog } from '#telemetry';
import { createPolicyKey, decodeEnvelope, loadSigner } from '#trust';
import { openAuditWitness } from './audit-witness.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-witness-'));
after(() => rmSync(folder, { recursive: true }));
const loaded = loadSigner(createPolicyKey().privateKeyPem);
if (!loaded.ok) throw new Error(loaded.error);
const signer = loaded.value;

const hex = (digit: string): string => digit.repeat(64);
// The first three trees of the published vectors; one leaf more is one hash of proof more.
const ONE = { size: 1, root: '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d' };
const TWO = { size: 2, root: 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125' };
const TWO_OF_ONE = ['96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7'];

function open(path: string) {
  const clock = () => Date.UTC(2026, 0, 1);
  const trustDomain = 'cluster.local';
  return openAuditWitness({ path, trustDomain, signer, clock, log: createSilentLog() });
}

test('what continues is signed and remembered over restarts; nothing else ever is', () => {
  const path = join(folder, 'witness.json');
  const first = open(path);
  assert.equal(first.state().checkpoint.length, 0);
  const signed = first.sign({ ...ONE, last: hex('a'), from: 0, proof: [] });
  assert.equal(signed.case, 'envelope');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const second = open(path);
  const grown = { ...TWO, last: hex('b') };
  assert.deepEqual(second.sign({ ...grown, from: 0, proof: [] }), { case: 'knownSize', value: 1n });
  const forks = [
    { ...grown, from: 1, proof: [] },
    { ...grown, from: 1, proof: [hex('0')] },
    { ...grown, root: hex('0'), from: 1, proof: TWO_OF_ONE },
    { ...ONE, root: hex('0'), last: hex('a'), from: 1, proof: [] },
  ];
  for (const fork of forks) {
    const answer = second.sign(fork);
    assert.equal(answer.case, 'refused', JSON.stringify(fork));
    assert.match(String(answer.value), /rewritten or forked/);
  }
  assert.match(second.state().refused, /rewritten or forked/);
  const good = second.sign({ ...grown, from: 1, proof: TWO_OF_ONE });
  assert.equal(good.case, 'envelope');
  assert.equal(second.state().refused, '');
  const back = open(path).sign({ ...ONE, last: hex('a'), from: 1, proof: [] });
  assert.match(String(back.value), /had 2 before: it was rolled back/);
  const envelope = decodeEnvelope(second.state().checkpoint);
  const opened = openCheckpoint(envelope.ok ? envelope.value : undefined, {
    issuanceLogKey: signer.publicKey,
    trustDomain: 'cluster.local',
  });
  assert.ok(opened.ok && opened.value.size === 2 && opened.value.last === hex('b'));
});

test('what was signed last cannot be forgotten by damaging the file', () => {
  const path = join(folder, 'damaged.json');
  open(path).sign({ ...ONE, last: hex('a'), from: 0, proof: [] });
  const text = readFileSync(path, 'utf8');
  for (const damaged of ['', text.slice(0, -9), text.replace(/"sig":"../, '"sig":"AA')]) {
    writeFileSync(path, damaged);
    assert.throws(() => open(path), /damaged\.json/);
  }
});
