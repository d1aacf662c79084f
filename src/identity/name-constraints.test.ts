import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCertificate } from './certificate.ts';
import { encodeCommonName, encodeExtension } from './certificate-fields.ts';
import { encodeElement, encodeOid, encodeSequence } from './der-write.ts';
import { caExtensions, fakeCertificate } from './fake-authority.ts';
import { NAME_TAG, NO_NAMES } from './general-names.ts';
import { satisfiesConstraints } from './name-constraints.ts';
import { OID } from './oid.ts';

type Kind = keyof typeof NAME_TAG | 'other';
type Name = readonly [Kind, string];

function encodeName([kind, text]: Name): Buffer {
  if (kind === 'directory') return encodeElement(NAME_TAG.directory, encodeCommonName(text));
  if (kind === 'other') return encodeElement(0xa0, Buffer.from(text));
  return encodeElement(NAME_TAG[kind], Buffer.from(text, kind === 'ip' ? 'hex' : 'latin1'));
}

/** Whether a certificate of these names passes constraints of these subtrees. */
function passes(
  names: readonly Name[],
  permitted: readonly Name[],
  excluded: readonly Name[],
  subject?: string,
): boolean {
  const subtrees = (tag: number, list: readonly Name[]): Buffer[] =>
    list.length === 0
      ? []
      : [encodeElement(tag, ...list.map((name) => encodeSequence(encodeName(name))))];
  const value = encodeSequence(...subtrees(0xa0, permitted), ...subtrees(0xa1, excluded));
  const constraints = encodeExtension(OID.nameConstraints, value, true);
  const issuer = fakeCertificate({ name: 'ca', extensions: [...caExtensions(), constraints] });
  const authority = decodeCertificate(issuer.der);
  const alternative = encodeExtension(OID.subjectAltName, encodeSequence(...names.map(encodeName)));
  const leaf = decodeCertificate(
    fakeCertificate({
      issuer,
      extensions: names.length === 0 ? caExtensions() : [alternative],
      ...(subject === undefined ? {} : { name: subject }),
    }).der,
  );
  assert.ok(authority.ok, JSON.stringify(authority));
  assert.ok(leaf.ok && authority.value.extensions.nameConstraints, JSON.stringify(leaf));
  return satisfiesConstraints(leaf.value, authority.value.extensions.nameConstraints);
}

/** A table of name, constraint, whether it matches; a permitted and an excluded subtree must agree. */
function check(kind: Kind, rows: readonly (readonly [string, string, boolean])[]): void {
  for (const [name, constraint, matches] of rows) {
    const label = `${kind} ${name} within ${constraint}`;
    assert.equal(passes([[kind, name]], [[kind, constraint]], []), matches, label);
    assert.equal(passes([[kind, name]], [], [[kind, constraint]]), !matches, label);
  }
}

test('the host of a URI: exact, or any below with a leading dot', () => {
  check('uri', [
    ['spiffe://td/a', 'td', true],
    ['spiffe://td.example/a', 'td', false],
    ['spiffe://td/a', '.td', false],
    ['spiffe://a.td/a', '.td', true],
    ['spiffe://a.td/a', 'td', false],
    ['spiffe://atd/a', '.td', false],
    ['spiffe://td/a', 'TD', true],
    ['spiffe://td/a', '', true],
    ['https://user@td:443/a', 'td', true],
    ['https://td@evil/a', 'td', false],
  ]);
});

test('a DNS name and all below it', () => {
  check('dns', [
    ['a.example', 'a.example', true],
    ['b.a.example', 'a.example', true],
    ['ba.example', 'a.example', false],
    ['A.EXAMPLE', 'a.example', true],
    ['example', 'a.example', false],
    ['a.example', '', true],
  ]);
});

test('an address and its block', () => {
  check('ip', [
    ['0a010203', '0a000000ff000000', true],
    ['0b010203', '0a000000ff000000', false],
    [
      '20010db8000000000000000000000001',
      `20010db8${'00'.repeat(12)}ffffffff${'00'.repeat(12)}`,
      true,
    ],
    ['0a010203', `${'00'.repeat(32)}`, false],
  ]);
});

test('a constraint that makes no sense refuses whichever way it is meant', () => {
  const rows: readonly [Kind, string, string][] = [
    ['dns', 'a.example', '.example'],
    ['dns', 'a..example', 'example'],
    ['dns', 'a.example', 'ex*mple'],
    ['ip', '0a010203', '0a000000ff00ff00'],
    ['ip', '0a0102', '0a000000ff000000'],
    ['ip', '0a010203', '0a00ff00'],
    ['uri', 'urn:a', 'td'],
    ['email', 'a@example', 'example'],
    ['other', 'x', 'x'],
  ];
  for (const [kind, name, constraint] of rows) {
    assert.equal(
      passes([[kind, name]], [[kind, constraint]], []),
      false,
      `${kind} ${name} permitted`,
    );
    assert.equal(
      passes([[kind, name]], [], [[kind, constraint]]),
      false,
      `${kind} ${name} excluded`,
    );
  }
});

test('a kind that nobody constrains is free, and exclusion beats permission', () => {
  const uri: Name = ['uri', 'spiffe://td/a'];
  assert.equal(passes([uri], [['dns', 'example']], []), true);
  assert.equal(passes([uri, ['dns', 'x']], [['dns', 'example']], []), false);
  assert.equal(passes([uri], [['uri', 'td']], [['uri', 'td']]), false);
  assert.equal(
    passes(
      [uri],
      [
        ['uri', 'other'],
        ['uri', 'td'],
      ],
      [],
    ),
    true,
  );
});

test('directory names: a permitted one by its bytes, an excluded one refuses all that have any', () => {
  const uri: Name = ['uri', 'spiffe://td/a'];
  assert.equal(passes([uri], [['directory', 'x']], []), true);
  assert.equal(passes([uri], [['directory', 'x']], [], 'x'), true);
  assert.equal(passes([uri], [['directory', 'x']], [], 'y'), false);
  assert.equal(passes([uri, ['directory', 'y']], [['directory', 'x']], [], 'x'), false);
  assert.equal(passes([uri], [], [['directory', 'x']], 'y'), false);
  assert.equal(passes([uri], [], [['directory', 'x']]), true);
});

test('an email address in the subject is a name of its kind', () => {
  const decoded = decodeCertificate(fakeCertificate({ extensions: caExtensions() }).der);
  assert.ok(decoded.ok);
  const email = encodeElement(0x16, Buffer.from('a@example'));
  const attribute = encodeSequence(encodeOid('2a864886f70d010901'), email);
  const certificate = { ...decoded.value, subject: encodeSequence(encodeElement(0x31, attribute)) };
  const permitted = { ...NO_NAMES, others: new Set([NAME_TAG.email]) };
  assert.equal(satisfiesConstraints(decoded.value, { permitted, excluded: NO_NAMES }), true);
  assert.equal(satisfiesConstraints(certificate, { permitted, excluded: NO_NAMES }), false);
});
