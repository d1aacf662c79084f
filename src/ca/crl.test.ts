import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createRoot, parseTrustDomain, type RevocationCheck } from '#identity';
import type { LogEntry, VerifiedRevocation } from '#trust';
import { createCrl } from './crl.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-crl-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const NOW_MS = Date.now();
const domain = parseTrustDomain('example.org');
assert.ok(domain.ok);
const issuer = createRoot({ trustDomain: domain.value, nowMs: NOW_MS, ttlMs: 3_600_000 });

function entry(serial: string, more: Partial<LogEntry> = {}): LogEntry {
  return {
    number: 1,
    previousHash: '',
    hash: '',
    timeMs: NOW_MS,
    spiffeId: 'spiffe://example.org/ns/shop/sa/web',
    serial,
    expiresAtMs: NOW_MS + 1000,
    selectors: [],
    requestedBy: 'spiffe://example.org/palisade/agent/one',
    allowedBy: 'shop@1',
    certificateSha256: '',
    ...more,
  };
}

// Something is revoked: which serials, the check says.
const SOME = [
  { hash: 'a', revocation: { act: { kind: 'revoke', until: null }, target: { kind: 'serial' } } },
] as unknown as VerifiedRevocation[];

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const skip = hasOpenssl ? false : 'openssl is not installed';

/** What OpenSSL reads in the list, having verified its signature. */
async function read(
  entries: readonly LogEntry[],
  revoked: RevocationCheck,
  revocations = SOME,
): Promise<string> {
  const [list, root] = [join(folder, 'crl.der'), join(folder, 'root.pem')];
  writeFileSync(
    list,
    await createCrl({ issuer, entries, revoked, revocations, nowMs: NOW_MS, number: 7 }),
  );
  writeFileSync(root, issuer.certificatePem);
  const args = ['crl', '-inform', 'DER', '-in', list, '-CAfile', root, '-noout', '-text'];
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

test('the list has what is revoked and has not expired, and OpenSSL reads and verifies it', {
  skip,
}, async () => {
  const entries = [
    entry('4aaa'),
    entry('4bbb', { expiresAtMs: NOW_MS - 1 }),
    entry('4ccc'),
    entry('4ddd', { kind: 'jwt' }),
  ];
  const text = await read(entries, ({ serial }) =>
    serial === '4ccc' ? undefined : { code: 'revoked', message: 'revoked' },
  );
  assert.match(text, /Serial Number: 4AAA/);
  for (const other of ['4BBB', '4CCC', '4DDD']) assert.doesNotMatch(text, new RegExp(other));
  assert.match(text, /X509v3 CRL Number:\s+7/);
});

test('where nothing is revoked the list is empty and valid', { skip }, async () => {
  assert.match(await read([entry('4aaa')], () => undefined, []), /No Revoked Certificates/);
});
