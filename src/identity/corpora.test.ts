// Path validation cases that others collected: x509-limbo and Netflix's bettertls.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { anchorOf } from './bundle.ts';
import { type Certificate, decodeCertificate } from './certificate.ts';
import { OID } from './oid.ts';
import { buildPath, timeProblem } from './path.ts';
import { pemToDer } from './pem.ts';
import { leafProblem } from './verify.ts';

type LimboCase = {
  readonly id: string;
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  readonly validation_time: string | null;
  readonly expected_result: 'SUCCESS' | 'FAILURE';
};

type BetterTlsSuite = {
  readonly trustRoot: string;
  readonly suites: {
    readonly pathbuilding: {
      readonly testCases: readonly {
        readonly id: number;
        readonly certificates: readonly string[];
        readonly expected: 'ACCEPT' | 'REJECT';
      }[];
    };
  };
};

// What limbo expects to fail and our path validation lets through, with the reason why it may.
const LET_THROUGH: Readonly<Record<string, string>> = {
  'pathlen::max-chain-depth-':
    'a limit that limbo sets as an option; ours is on the chain received',
  'rfc5280::aki::': 'key identifiers help to find a path; RFC 5280 demands them of issuers only',
  'rfc5280::ski::': 'key identifiers help to find a path; RFC 5280 demands them of issuers only',
  'rfc5280::nc::permitted-dns-match-noncritical': 'the constraint is enforced all the same',
  'rfc5280::san::noncritical-with-empty-subject': 'the names are read whether critical or not',
  'rfc5280::root-non-critical-basic-constraints': 'the extension is read whether critical or not',
  'webpki::aki::': 'rules of the web for roots; ours are pinned by the operator',
  'webpki::eku::': "rules of the web; X509-SVID's own are tested in verify.test.ts",
  'webpki::san::': 'DNS names are not matched here: a peer is its SPIFFE ID',
  'webpki::malformed-aia': 'authority information is not read',
};

// What limbo expects to succeed and we refuse.
const REFUSED: Readonly<Record<string, string>> = {
  'pathlen::validation-ignores-pathlen-in-leaf':
    "a leaf that is a CA's certificate, which no SVID is",
  'online::akamai.com': 'a root signed with SHA-1',
  'online::facebook.com': 'a root signed with SHA-1',
  'online::cloudflare.com': 'a root signed with SHA-1',
};

const folder = join(
  process.env['PALISADE_CORPORA'] ?? join(import.meta.dirname, '../../../shared/corpora'),
  'x509',
);
const skip = existsSync(folder) ? false : `no corpus at ${folder}`;

// limbo's cases without a time of their own were made to hold when the corpus was.
const CORPUS_MS = Date.UTC(2023, 11, 1);

function load<T>(file: string): T {
  return JSON.parse(readFileSync(join(folder, file), 'utf8'));
}

function decodeAll(ders: readonly Uint8Array[]): Certificate[] {
  return ders
    .map((der) => decodeCertificate(der))
    .filter((decoded) => decoded.ok)
    .map((decoded) => decoded.value);
}

/** The path's outcome, and whether the leaf itself is one an SVID may be (its purposes aside). */
function accepts(
  leafDer: Uint8Array,
  others: readonly Uint8Array[],
  roots: readonly Uint8Array[],
  nowMs: number,
): boolean {
  const [leaf] = decodeAll([leafDer]);
  if (leaf === undefined) return false;
  const question = { leaf, nowMs, clockSkewMs: 0 };
  // The web's leaves are for servers alone and some have no key usage: rules of SVIDs only.
  const { keyUsage = 1, extendedKeyUsage: purposes, ...rest } = leaf.extensions;
  const isServer = purposes?.includes(OID.serverAuth) === true;
  const extensions = { ...rest, keyUsage, extendedKeyUsage: isServer ? undefined : purposes };
  if (leafProblem({ ...leaf, extensions }) ?? timeProblem(leaf, 'it', question)) return false;
  const anchors = roots.map((der) => anchorOf(new X509Certificate(der)));
  const usable = anchors.filter((anchor) => anchor !== undefined);
  return buildPath({ ...question, intermediates: decodeAll(others), roots: usable }).ok;
}

function reasonFor(table: Readonly<Record<string, string>>, id: string): string | undefined {
  return Object.keys(table).find((prefix) => id.startsWith(prefix));
}

function derOf(pem: string): Uint8Array {
  return pemToDer(pem)[0] ?? new Uint8Array();
}

test('x509-limbo', { skip }, () => {
  const { testcases } = load<{ testcases: readonly LimboCase[] }>('limbo-2023-12.json');
  const differences: string[] = [];
  const used = new Set<string>();
  for (const each of testcases) {
    const nowMs = each.validation_time === null ? CORPUS_MS : Date.parse(each.validation_time);
    const others = each.untrusted_intermediates.map(derOf);
    const roots = each.trusted_certs.map(derOf);
    const isAccepted = accepts(derOf(each.peer_certificate), others, roots, nowMs);
    if (isAccepted === (each.expected_result === 'SUCCESS')) continue;
    const reason = reasonFor(isAccepted ? LET_THROUGH : REFUSED, each.id);
    if (reason === undefined) differences.push(each.id);
    else used.add(reason);
  }
  assert.ok(testcases.length > 100);
  assert.deepEqual(differences, []);
  // A reason that nothing needs any more would hide the next difference.
  assert.deepEqual([...used].sort(), Object.keys({ ...LET_THROUGH, ...REFUSED }).sort());
});

test('bettertls path building', { skip }, () => {
  const { trustRoot, suites } = load<BetterTlsSuite>('bettertls-pathbuilding.json');
  const der = (base64: string): Uint8Array => Buffer.from(base64, 'base64');
  let tested = 0;
  for (const { id, certificates, expected } of suites.pathbuilding.testCases) {
    const [leaf = '', ...others] = certificates;
    const isAccepted = accepts(der(leaf), others.map(der), [der(trustRoot)], CORPUS_MS);
    // What is refused must be refused always; what is accepted, within the length we allow.
    if (expected === 'ACCEPT' && certificates.length > 7) continue;
    assert.equal(isAccepted, expected === 'ACCEPT', `case ${id}`);
    tested++;
  }
  assert.ok(tested > 50);
});
