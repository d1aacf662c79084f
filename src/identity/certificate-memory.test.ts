import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Certificate } from './certificate.ts';
import { type CertificateMemory, createCertificateMemory } from './certificate-memory.ts';
import { fakeCertificate, leafExtensions } from './fake-authority.ts';

const [A, B, C] = ['a', 'b', 'c'].map((name) =>
  Buffer.from(fakeCertificate({ extensions: leafExtensions([`spiffe://td/${name}`]) }).der),
) as [Buffer, Buffer, Buffer];

function read(memory: CertificateMemory, der: Uint8Array): Certificate {
  const decoded = memory.decode(der);
  return decoded.ok ? decoded.value : assert.fail(decoded.error);
}

function isKnown(memory: CertificateMemory, der: Uint8Array): boolean {
  return read(memory, der) === read(memory, der);
}

test('only what is remembered is the same object again', () => {
  const memory = createCertificateMemory(10);
  const certificate = read(memory, A);
  assert.equal(isKnown(memory, A), false);
  memory.remember([certificate]);
  assert.ok(isKnown(memory, A));
  assert.deepEqual(read(memory, A), certificate);
  assert.equal(isKnown(memory, B), false);
});

test('no more are remembered than the limit, the oldest go', () => {
  const memory = createCertificateMemory(2);
  for (const der of [A, B, C]) memory.remember([read(memory, der)]);
  assert.deepEqual(
    [A, B, C].map((der) => isKnown(memory, der)),
    [false, true, true],
  );
});

test('attack: bytes that change after they were remembered change nothing that is known', () => {
  const memory = createCertificateMemory(10);
  const lent = Buffer.from(A);
  memory.remember([read(memory, lent)]);
  B.copy(lent, 0, 0, Math.min(lent.length, B.length));
  const { extensions, der } = read(memory, A);
  assert.deepEqual(extensions.subjectAltName?.uris, ['spiffe://td/a']);
  assert.deepEqual(Buffer.from(der), A);
});
