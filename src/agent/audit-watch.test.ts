import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Frontier, signCheckpoint } from '#audit';
import { createSilentLog } from '#telemetry';
import {
  createPolicyKey,
  type DsseEnvelope,
  encodeEnvelope,
  loadSigner,
  type TrustRoot,
} from '#trust';
import { AuditCheckpointSchema, createMessage } from '#wire';
import { createAuditWatch } from './audit-watch.ts';
import { openStateFolder } from './state-folder.ts';

const loaded = loadSigner(createPolicyKey().privateKeyPem);
if (!loaded.ok) throw new Error(loaded.error);
const signer = loaded.value;
const stranger = loadSigner(createPolicyKey().privateKeyPem);
if (!stranger.ok) throw new Error(stranger.error);
const trustRoot = { trustDomain: 'td', issuanceLogKey: signer.publicKey } as TrustRoot;
const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A log in which the leaf at each index says `text`, from `changedFrom` on something else. */
function logOf(size: number, changedFrom = size) {
  const frontier = new Frontier();
  for (let i = 0; i < size; i++)
    frontier.push((i < changedFrom ? i : i + 1000).toString(16).padStart(64, '0'));
  return { size, root: frontier.root() };
}

// From a power of two to the next one, the proof is the right half's root.
function proofTo(size: number): string[] {
  const right = new Frontier();
  for (let i = size / 2; i < size; i++) right.push(i.toString(16).padStart(64, '0'));
  return [right.root()];
}

function signed(tip: { size: number; root: string }, by = signer): DsseEnvelope {
  const last = '0'.repeat(64);
  const time = '2026-01-01T00:00:00.000Z';
  return signCheckpoint({ ...tip, last, time, trustDomain: 'td', log: 'control' }, by);
}

function shown(envelope: DsseEnvelope, from = 0, proof: string[] = []) {
  return createMessage(AuditCheckpointSchema, {
    envelope: new Uint8Array(encodeEnvelope(envelope)),
    fromSize: BigInt(from),
    proof,
  });
}

function start(folder = mkdtempSync(join(tmpdir(), 'palisade-audit-watch-'))) {
  if (!folders.includes(folder)) folders.push(folder);
  const time = { now: 0 };
  const watch = createAuditWatch({
    folder: openStateFolder(folder),
    trustRoot: () => trustRoot,
    clock: () => time.now,
    log: createSilentLog(),
  });
  return { watch, time, folder };
}

const said = (tip?: { size: number; root: string }, auditRefused = '') => ({
  auditCheckpoint:
    tip === undefined ? new Uint8Array() : new Uint8Array(encodeEnvelope(signed(tip))),
  auditRefused,
});

test('what continues is kept, over restarts; what does not is an alarm and is kept as evidence', async () => {
  const { watch, folder } = start();
  await watch.receive(shown(signed(logOf(4))));
  await watch.receive(shown(signed(logOf(8)), 4, proofTo(8)));
  assert.deepEqual(watch.kept(), logOf(8));
  const attacks = [
    ['rolled back', shown(signed(logOf(4))), /rolled back or cut off/],
    ['forked', shown(signed(logOf(8, 5))), /rewritten or forked/],
    ['rewritten and grown', shown(signed(logOf(16, 5)), 8, proofTo(16)), /rewritten or forked/],
    ['not proved', shown(signed(logOf(16))), /does not prove/],
    [
      'signed by nobody we know',
      shown(signed(logOf(16), stranger.ok ? stranger.value : signer), 8, proofTo(16)),
      /nobody signed/,
    ],
    [
      'garbage',
      createMessage(AuditCheckpointSchema, { envelope: Buffer.from('{}') }),
      /nobody signed/,
    ],
  ] as const;
  for (const [name, message, problem] of attacks) {
    const { watch: again } = start(folder);
    assert.deepEqual(again.kept(), logOf(8), name);
    await again.receive(message);
    assert.match(again.problem(true) ?? '', problem, name);
    assert.deepEqual(again.kept(), logOf(8), name);
  }
  assert.ok(existsSync(join(folder, 'audit-conflict.json')));
});

test('the authority tells past the control plane', async () => {
  const { watch, time } = start();
  watch.witnessed(said(logOf(4)));
  assert.equal(watch.problem(true), undefined, 'nothing is kept yet');
  await watch.receive(shown(signed(logOf(8))));
  watch.witnessed(said(logOf(8)));
  assert.equal(watch.problem(true), undefined);
  watch.witnessed(said(logOf(8), 'it was rewritten'));
  assert.match(watch.problem(false) ?? '', /authority does not sign .* it was rewritten/);
  watch.witnessed(said(logOf(8)));
  assert.equal(watch.problem(true), undefined);
  // One answer may have been on its way while the control plane showed a newer checkpoint.
  watch.witnessed(said(logOf(4)));
  assert.equal(watch.problem(true), undefined);
  watch.witnessed(said(logOf(4)));
  assert.match(watch.problem(true) ?? '', /another history/);
  const other = start();
  await other.watch.receive(shown(signed(logOf(8))));
  other.watch.witnessed(said(logOf(8, 3)));
  assert.match(other.watch.problem(true) ?? '', /another history/);
  assert.equal(time.now, 0);
});

test('a control plane that shows its log no more is found out, unless it is away', async () => {
  const { watch, time } = start();
  watch.greeted();
  time.now = 100_000;
  assert.equal(watch.problem(true), undefined, 'it never showed one');
  await watch.receive(shown(signed(logOf(4))));
  watch.greeted();
  time.now = 150_000;
  assert.equal(watch.problem(true), undefined);
  time.now = 161_000;
  assert.match(watch.problem(true) ?? '', /does not show its audit log/);
  assert.equal(watch.problem(false), undefined);
  await watch.receive(shown(signed(logOf(4)), 4));
  assert.equal(watch.problem(true), undefined);
  watch.witnessed(said(logOf(8)));
  time.now = 222_000;
  assert.match(watch.problem(true) ?? '', /does not show its audit log/);
  await watch.receive(shown(signed(logOf(8)), 4, proofTo(8)));
  assert.equal(watch.problem(true), undefined);
});
