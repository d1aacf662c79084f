import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anchorOf } from './bundle.ts';
import { type Certificate, decodeCertificate } from './certificate.ts';
import { encodeAuthorityKeyId, encodePurposes, encodeSubjectKeyId } from './certificate-fields.ts';
import {
  caExtensions,
  type Fake,
  fakeBundle,
  fakeCertificate,
  KEYS,
  leafExtensions,
  NOW_MS,
} from './fake-authority.ts';
import { OID } from './oid.ts';
import { buildPath } from './path.ts';
import type { VerifyErrorCode } from './verify-error.ts';

const ROOT = fakeCertificate({ name: 'root', extensions: caExtensions() });
const SVID = leafExtensions(['spiffe://td/a']);

function decode({ der }: Fake): Certificate {
  const decoded = decodeCertificate(der);
  assert.ok(decoded.ok, JSON.stringify(decoded));
  return decoded.value;
}

/** The length of the path found, or why there is none. */
function search(
  leaf: Fake,
  intermediates: readonly Fake[],
  ...roots: readonly Fake[]
): number | VerifyErrorCode {
  const anchors = fakeBundle('td', ...(roots.length > 0 ? roots : [ROOT])).x509Roots.map(anchorOf);
  const path = buildPath({
    leaf: decode(leaf),
    intermediates: intermediates.map(decode),
    roots: anchors.filter((anchor) => anchor !== undefined),
    nowMs: NOW_MS,
    clockSkewMs: 0,
  });
  return path.ok ? path.value.length : path.error.code;
}

/** Authorities below `top`, each signed by the one before; the last is to sign leaves. */
function line(
  top: Fake,
  ...all: readonly (Buffer[] | { name: string; extensions: Buffer[] })[]
): Fake[] {
  const made: Fake[] = [];
  for (const each of all) {
    const options = Array.isArray(each) ? { name: `ca${made.length}`, extensions: each } : each;
    made.push(fakeCertificate({ ...options, issuer: made.at(-1) ?? top }));
  }
  return made;
}

test('intermediates are found in any order, superfluous ones are passed over', () => {
  const authorities = line(ROOT, caExtensions(), caExtensions(), caExtensions());
  const leaf = fakeCertificate({ issuer: authorities.at(-1) ?? ROOT, extensions: SVID });
  const stray = fakeCertificate({ name: 'stray', extensions: caExtensions() });
  assert.equal(search(leaf, authorities), 4);
  assert.equal(search(leaf, [...authorities].reverse()), 4);
  assert.equal(search(leaf, [stray, ROOT, ...authorities]), 4);
  assert.equal(search(leaf, authorities.slice(1)), 'untrusted');
});

test('attack: a chain longer than its authority allows', () => {
  const cases: readonly [number | undefined, number, number | VerifyErrorCode][] = [
    [0, 1, 2],
    [0, 2, 'bad_chain'],
    [1, 2, 3],
    [1, 3, 'bad_chain'],
    [undefined, 4, 5],
  ];
  for (const [pathLength, count, expected] of cases) {
    const levels = Array.from({ length: count }, (_, i) =>
      caExtensions(i === 0 ? pathLength : undefined),
    );
    const authorities = line(ROOT, ...levels);
    const leaf = fakeCertificate({ issuer: authorities.at(-1) ?? ROOT, extensions: SVID });
    assert.equal(search(leaf, authorities), expected, `path length ${pathLength} over ${count}`);
  }
  const strict = fakeCertificate({ name: 'strict', extensions: caExtensions(0) });
  const below = line(strict, caExtensions());
  const leaf = fakeCertificate({ issuer: below.at(-1) ?? strict, extensions: SVID });
  assert.equal(search(leaf, below, strict), 'bad_chain');
});

test('self-issued authorities, as in a key change, do not count for the path length', () => {
  const again = { name: 'ca0', extensions: caExtensions(0) };
  const authorities = line(ROOT, caExtensions(0), again);
  const leaf = fakeCertificate({ issuer: authorities.at(-1) ?? ROOT, extensions: SVID });
  assert.equal(search(leaf, authorities), 3);
});

test('attack: authorities that certify each other in circles cost a bounded amount of work', () => {
  // One name and one key: each of them could have signed each, which makes 325 steps.
  const privateKey = KEYS.p256;
  const circle = [1, 2, 3, 4, 5].map((serial) =>
    fakeCertificate({
      name: 'same',
      privateKey,
      serial: Buffer.from([serial]),
      extensions: caExtensions(),
    }),
  );
  const leaf = fakeCertificate({ issuer: circle[0] ?? ROOT, extensions: SVID });
  let steps = 0;
  const path = buildPath({
    leaf: decode(leaf),
    intermediates: circle.map(decode),
    roots: [],
    nowMs: NOW_MS,
    clockSkewMs: 0,
    refuseSigner: () => {
      steps++;
      return undefined;
    },
  });
  assert.equal(path.ok, false);
  assert.ok(steps < 100, `${steps}`);
});

test('of two roots of one name the one with the right key is found, with and without key ids', () => {
  const ski = (id: string): Buffer => encodeSubjectKeyId(Buffer.from(id, 'hex'));
  const old = fakeCertificate({ name: 'same', extensions: [...caExtensions(), ski('aa')] });
  const young = fakeCertificate({ name: 'same', extensions: [...caExtensions(), ski('bb')] });
  for (const extensions of [SVID, [...SVID, encodeAuthorityKeyId(Buffer.from('bb', 'hex'))]]) {
    assert.equal(search(fakeCertificate({ issuer: young, extensions }), [], old, young), 1);
  }
  const misled = [...SVID, encodeAuthorityKeyId(Buffer.from('aa', 'hex'))];
  assert.equal(
    search(fakeCertificate({ issuer: young, extensions: misled }), [], old, young),
    'untrusted',
  );
});

test('an expired cross-certificate does not hide the good one beside it', () => {
  const good = fakeCertificate({ name: 'mid', issuer: ROOT, extensions: caExtensions() });
  const expired = fakeCertificate({
    name: 'mid',
    issuer: ROOT,
    privateKey: good.privateKey,
    expiresAt: NOW_MS - 1000,
    extensions: caExtensions(),
  });
  const leaf = fakeCertificate({ issuer: good, extensions: SVID });
  assert.equal(search(leaf, [expired, good]), 2);
  assert.equal(search(leaf, [expired]), 'expired');
});

test('an authority restricted to other purposes signs no SVID', () => {
  const codeSigning = '2b06010505070303';
  const cases: readonly [string[], number | VerifyErrorCode][] = [
    [[OID.serverAuth, OID.clientAuth], 2],
    [[OID.anyExtendedKeyUsage], 2],
    [[codeSigning], 'bad_chain'],
    [[OID.serverAuth], 'bad_chain'],
  ];
  for (const [purposes, expected] of cases) {
    const [middle = ROOT] = line(ROOT, [...caExtensions(), encodePurposes(...purposes)]);
    const leaf = fakeCertificate({ issuer: middle, extensions: SVID });
    assert.equal(search(leaf, [middle]), expected);
  }
});

test('attack: the root is only as good as its own constraints', () => {
  const weak = fakeCertificate({ name: 'weak', extensions: SVID });
  assert.equal(search(fakeCertificate({ issuer: weak, extensions: SVID }), [], weak), 'bad_chain');
});
