import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crossCheck } from './cross-check.ts';
import { DIAGNOSTIC_CODES } from './errors.ts';
import { parseResources } from './parse.ts';
import { parseStoredResource } from './parse-stored.ts';
import { renderDiagnostics } from './render.ts';
import { starterResources } from './starter.ts';

const OPTIONS = { defaultNamespace: 'default', trustDomain: 'cluster.local' };

function policy(name: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}}
spec:
  selector: {matchLabels: {app: web}}
  rules:
    - from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
      to: [{operation: {methods: [GET, POST], paths: ["/a/*", /b]}}]
`;
}

/** A hostile text yields this diagnostic first, and costs neither time nor memory to speak of. */
function check(name: string, text: string, code: keyof typeof DIAGNOSTIC_CODES): void {
  test(`hostile text: ${name}`, () => {
    const before = process.cpuUsage();
    const { diagnostics } = parseResources([{ file: 'f', text }], OPTIONS);
    const { user } = process.cpuUsage(before);
    assert.equal(diagnostics[0]?.code, code);
    assert.ok(diagnostics.length <= 501);
    for (const { lineText, help, message } of diagnostics)
      assert.ok(lineText.length + help.length + message.length < 2000);
    assert.ok(user < 3_000_000, `took ${user} µs`);
  });
}

check('ten megabytes', 'a: b\n'.repeat(2_000_000), 'file_too_large');
check('a document of two megabytes', `a: ${'x'.repeat(2 ** 21)}`, 'document_too_large');
check('a document of commas', `[${','.repeat(500_000)}`, 'document_too_large');
check('commas behind a false marker', `a: [\n---x${','.repeat(150_000)}`, 'document_too_large');
check('more documents than anybody writes', '---\n'.repeat(50_000), 'too_many');
check(
  'a hundred thousand principals',
  `${policy('p')}  rules: [{from: [{source: {principals: [${Array.from({ length: 100_000 }, (_, i) => `td/ns/a/sa/s${i}`).join(', ')}]}}]}]`,
  'document_too_large',
);
check('deep brackets', '['.repeat(90_000), 'too_deep');
check('deep lists', '- '.repeat(20_000), 'too_deep');
check(
  'deep mappings',
  Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
  'too_deep',
);
check('deep keys', '? '.repeat(20_000), 'too_deep');
check('aliases that unfold', laughs(), 'alias_expansion');
check('an alias of itself', 'kind: &a [*a]', 'yaml_syntax');
check('a duplicate key a line', `kind: Mesh\n${'a: b\n'.repeat(20_000)}`, 'duplicate_key');
check(
  'a key a line',
  `kind: Mesh\n${Array.from({ length: 20_000 }, (_, i) => `k${i}: 1\n`).join('')}`,
  'unknown_field',
);
check('bytes that are not UTF-8', 'kind: caf\uFFFD', 'not_text');
check('UTF-16', 'k\0i\0n\0d\0', 'not_text');
check('an unresolvable tag', 'kind: !!js/function "x"', 'yaml_syntax');
check('a key of the prototype', `${policy('p')}__proto__: 1`, 'unknown_field');
check(
  'a long line of minified JSON',
  `{"kind":"Mesh","x":"${'y'.repeat(100_000)}","apiVersion":1}`,
  'missing_field',
);

test('a thousand files take less than a second and a half', () => {
  const files = Array.from({ length: 1000 }, (_, i) => ({
    file: `${i}.yaml`,
    text: policy(`p${i}`),
  }));
  const before = process.cpuUsage();
  const { resources, diagnostics } = parseResources(files, OPTIONS);
  const cross = crossCheck(resources, []);
  const { user, system } = process.cpuUsage(before);
  assert.deepEqual([resources.length, diagnostics.length, cross.length], [1000, 0, 0]);
  assert.ok(user + system < 1_500_000, `took ${user + system} µs`);
});

test('no text makes parsing throw or its diagnostics lie', () => {
  const seeds = [...starterResources().map(({ text }) => text), policy('p')];
  const piece = fc.oneof(
    fc.constantFrom(...seeds.flatMap((seed) => seed.split(/(?<=[\s:{}[\]])/))),
    fc.constantFrom(
      '\t',
      '---\n',
      '...\n',
      '&a ',
      '*a ',
      '!!str ',
      '? ',
      '<<: ',
      '|\n',
      '"',
      "'",
      '{',
      ']',
      '\r\n',
      '%YAML 1.1\n',
    ),
    fc.string({ unit: 'binary' }),
  );
  const shuffled = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
  const spliced = fc
    .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat(20), shuffled)
    .map(([seed, at, length, insert]) => {
      const start = at % seed.length;
      return seed.slice(0, start) + insert.slice(0, 30) + seed.slice(start + length);
    });
  fc.assert(fc.property(fc.oneof(shuffled, spliced), checkConsistent), { numRuns: 1500 });
});

test('no truncation of a file makes parsing throw or its diagnostics lie', () => {
  const text = `${policy('p')}---\r\n${starterResources().find(({ path }) => path === 'services/catalog.yaml')?.text}`;
  for (let length = 0; length <= text.length; length++) checkConsistent(text.slice(0, length));
});

test('no stored value makes reading throw', () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
      for (const kind of [
        'Mesh',
        'Service',
        'Registration',
        'AuthorizationPolicy',
        'PeerAuthentication',
      ]) {
        const parsed = parseStoredResource({
          apiVersion: 'palisade.dev/v1',
          kind,
          metadata: value,
          spec: value,
        });
        assert.equal(typeof parsed.ok, 'boolean');
      }
    }),
    { numRuns: 500 },
  );
});

/** Resources come without errors of their own, every place exists, and what was read can be read again. */
function checkConsistent(text: string): void {
  const { resources, diagnostics } = parseResources([{ file: 'f', text }], OPTIONS);
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const found of [...diagnostics, ...crossCheck(resources, [])]) {
    const line = lines[found.line - 1];
    assert.ok(line !== undefined && found.column >= 1 && found.endColumn > found.column);
    assert.ok(found.lineTextStart !== undefined || line.startsWith(found.lineText));
    assert.ok(
      Object.hasOwn(DIAGNOSTIC_CODES, found.code) && found.message !== '' && found.help !== '',
    );
  }
  // SECURITY: what is shown must not act on the terminal.
  assert.doesNotMatch(renderDiagnostics(diagnostics, { color: false }), /[^\P{Cc}\n]/u);
  for (const { resource } of resources) {
    const again = parseStoredResource(JSON.parse(JSON.stringify(resource)));
    assert.deepEqual(again, { ok: true, value: resource });
  }
}

function laughs(): string {
  const names = [...'abcdefghij'];
  const lines = names.map(
    (name, i) =>
      `${name}: &${name} [${Array(9)
        .fill(i === 0 ? 'x' : `*${names[i - 1]}`)
        .join(', ')}]`,
  );
  return lines.join('\n');
}
