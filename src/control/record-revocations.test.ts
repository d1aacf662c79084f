import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AuditFields } from '#audit';
import { openRevocationStore } from '#revocation';
import { createSilentLog } from '#telemetry';
import {
  createPolicyKey,
  loadSigner,
  type Revocation,
  RevocationSet,
  signRevocation,
  type TrustRoot,
} from '#trust';
import { recordRevocations } from './record-revocations.ts';

const NOW_MS = Date.now();
const key = createPolicyKey();
const signer = loadSigner(key.privateKeyPem);
const ROOT: TrustRoot = {
  version: 1,
  trustDomain: 'example.org',
  x509Roots: ['AAAA'],
  policyKeys: [{ keyId: key.keyId, publicKey: key.publicKey, name: 'ann', namespaces: ['*'] }],
  threshold: 1,
  issuanceLogKey: createPolicyKey().publicKey,
  issuedAt: new Date(NOW_MS).toISOString(),
};
const signed = new RevocationSet();

function entry(number: number, act: Revocation['act']): unknown {
  assert.ok(signer.ok);
  const envelope = signRevocation(
    {
      trustDomain: ROOT.trustDomain,
      issuer: key.keyId,
      number,
      parent: signed.last(key.keyId)?.hash ?? null,
      author: 'ann',
      time: new Date(NOW_MS).toISOString(),
      target: { kind: 'serial', serial: 'ab12' },
      act,
    },
    [signer.value],
  );
  assert.ok(signed.add(envelope, ROOT).ok);
  return envelope;
}

test('what others bring is on record, in its author’s name, once; what the API took is left to the API', () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-revoked-'));
  const path = join(folder, 'revocations.jsonl');
  const log = createSilentLog();
  const store = openRevocationStore({ path, trustRoot: () => ROOT, log });
  const records: AuditFields[] = [];
  // A disk that refuses must not keep a stolen identity alive.
  const append = (fields: AuditFields) => {
    records.push(fields);
    return Promise.reject(new Error('no space left'));
  };
  const stop = recordRevocations(store, { append });
  const agent = {};
  const revoke = entry(1, { kind: 'revoke', reason: 'a laptop went', until: null });
  store.receive([revoke], agent);
  store.receive([revoke], agent);
  const revocation = signed.last(key.keyId)?.hash ?? '';
  store.receive([entry(2, { kind: 'lift', reason: 'found', revocation })]);
  assert.deepEqual(
    records.map((each) => [each.action, each['actor.id'], each.reason]),
    [['identity.revoke', 'ann', 'a laptop went']],
  );
  assert.match(records[0]?.['target.name'] ?? '', /ab12/);
  stop();
  store.close();
  rmSync(folder, { recursive: true });
});
