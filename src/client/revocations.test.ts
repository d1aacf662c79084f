import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { createPolicyKey, loadSigner, type TrustRoot } from '#trust';
import { layoutOf } from './data-folder.ts';
import { holdRevocations, readJournal, signNextRevocation } from './revocations.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'palisade-revoking-'));
after(() => rmSync(dataDir, { recursive: true }));

test('what was signed while nobody answered is known as untold, until the other side has it', () => {
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  assert.ok(signer.ok);
  const trustRoot: TrustRoot = {
    version: 1,
    trustDomain: 'cluster.local',
    x509Roots: [],
    policyKeys: [{ keyId: key.keyId, publicKey: key.publicKey, name: 'ann', namespaces: ['*'] }],
    threshold: 1,
    issuanceLogKey: createPolicyKey().publicKey,
    issuedAt: new Date().toISOString(),
  };
  const journalPath = layoutOf(dataDir).author.revocations;
  mkdirSync(dirname(journalPath), { recursive: true });
  writeFileSync(journalPath, '');
  const author = { name: 'ann', signer: signer.value, ttlMs: 1 };
  const held = () => holdRevocations({ told: [], own: readJournal(journalPath) }, trustRoot);
  const sign = (name: string) =>
    signNextRevocation({
      held: held(),
      trustRoot,
      author,
      target: {
        kind: 'identity',
        id: `spiffe://cluster.local/ns/default/sa/${name}`,
        issuedBefore: null,
      },
      act: { kind: 'revoke', reason: '', until: null },
      nowMs: Date.now(),
      journalPath,
    });
  const [first, second] = [sign('one'), sign('two')];
  const own = readJournal(journalPath);
  const untold = (told: readonly unknown[]) =>
    holdRevocations({ told, own }, trustRoot).untold.map(({ hash }) => hash);
  assert.deepEqual(untold([]), [first.hash, second.hash]);
  assert.deepEqual(untold([first.envelope]), [second.hash]);
  assert.deepEqual(untold([second.envelope, first.envelope]), []);
});
