import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Field } from './field.ts';
import { parseCondition, textMatches } from './pattern.ts';

const SCOPE = { trustDomain: 'td', namespace: 'own' };

/** Checks one authored value against texts that it must and must not match. */
function check(field: Field, value: string, yes: readonly string[], no: readonly string[]): void {
  test(`${field} \`${value}\``, () => {
    const parsed = parseCondition({ field, negated: false, values: [value] }, SCOPE);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const [pattern] = parsed.value.patterns;
    assert.ok(pattern !== undefined);
    for (const text of yes) assert.ok(textMatches(pattern, text), `must match ${text}`);
    for (const text of no) assert.ok(!textMatches(pattern, text), `must not match ${text}`);
  });
}

// A star counts at one end only; any other is literal.
check('path', '/a', ['/a'], ['/a/', '/A', '/ab', '']);
check('path', '/a/*', ['/a/', '/a/b', '/a/b/c'], ['/a', '/b/a/']);
check('path', '/a/**', ['/a/*', '/a/*b'], ['/a/b', '/a/']);
check('path', '*.css', ['/x.css', '.css'], ['/x.css/', '/xcss']);
check('path', '*x*', ['/ax*', 'x*'], ['/axb', '/ax', 'xx']);
check('path', '*', ['/', 'x'], ['']);
check('path', '/a*b', ['/a*b'], ['/ab', '/axb']);

check('method', 'GET', ['GET'], ['get', 'GETX']);
check('method', '*', ['GET', ''], []);

// Hosts come in lower case from both evaluators.
check('host', 'Api.Example.com', ['api.example.com'], ['api.example.com:8080', 'api.example.com.']);
check(
  'host',
  '*.Example.com',
  ['a.example.com', '.example.com'],
  ['example.com', 'a.example.com:80'],
);
check('host', 'api.*', ['api.', 'api.example.com:80'], ['xapi.']);
check('host', '*', ['', 'a'], []);

check(
  'principal',
  'td/ns/web/sa/front',
  ['spiffe://td/ns/web/sa/front'],
  ['td/ns/web/sa/front', 'spiffe://other/ns/web/sa/front'],
);
check(
  'principal',
  'cluster.local/ns/web/sa/front',
  ['spiffe://td/ns/web/sa/front'],
  ['spiffe://cluster.local/ns/web/sa/front'],
);
check(
  'principal',
  'cluster.local/ns/web/*',
  ['spiffe://cluster.local/ns/web/sa/x'],
  ['spiffe://td/ns/web/sa/x'],
);
check(
  'principal',
  'cluster.local/ns/web/sa/*',
  ['spiffe://td/ns/web/sa/x'],
  ['spiffe://td/ns/shop/sa/x'],
);
check(
  'principal',
  't*/ns/web/sa/front',
  ['spiffe://td/ns/web/sa/front'],
  ['spiffe://t/ns/web/sa/front'],
);
check(
  'principal',
  '*d/ns/web/sa/front',
  ['spiffe://td/ns/web/sa/front', 'spiffe://other-d/ns/web/sa/front'],
  ['spiffe://dx/ns/web/sa/front'],
);
check('principal', '*//td/ns/web/sa/front', [], ['spiffe://td/ns/web/sa/front']);
check('principal', 'spiffe://td/ns/web/sa/front', [], ['spiffe://td/ns/web/sa/front']);
check('principal', '*', ['spiffe://td', 'spiffe://other/x'], ['']);

// A star in a namespace stands for anything, slashes too.
check(
  'namespace',
  'web',
  ['spiffe://td/ns/web/sa/x', 'spiffe://td/ns/a/ns/web/x'],
  ['spiffe://td/ns/web', 'spiffe://td/ns/webs/sa/x', 'spiffe://td/x/web/sa/x'],
);
check(
  'namespace',
  'w*',
  ['spiffe://td/ns/web/sa/x', 'spiffe://td/ns/w/sa/x'],
  ['spiffe://td/ns/aw/sa/x'],
);
check(
  'namespace',
  '*nt',
  ['spiffe://td/ns/web/sa/front/v2', 'spiffe://td/ns/tent/sa/x'],
  ['spiffe://td/ns/web/sa/front'],
);
check(
  'namespace',
  'a*b*c',
  ['spiffe://td/ns/axbyc/sa/x', 'spiffe://td/ns/a/b/c/d'],
  ['spiffe://td/ns/acb/sa/x'],
);
check(
  'namespace',
  '*',
  ['spiffe://td/ns/web/sa/x', 'spiffe://td/ns/web/'],
  ['spiffe://td/ns/web', 'spiffe://td/workload'],
);

check(
  'serviceAccount',
  'front',
  ['spiffe://td/ns/own/sa/front', 'spiffe://any/ns/own/x/sa/front/v2'],
  ['spiffe://td/ns/web/sa/front', 'spiffe://td/ns/own/sa/frontier', 'spiffe://td/ns/own/sa/front/'],
);
check(
  'serviceAccount',
  'web/front',
  ['spiffe://td/ns/web/sa/front'],
  ['spiffe://td/ns/own/sa/front', '/ns/web/sa/front', 'spiffe:///ns/web/sa/front'],
);
check(
  'serviceAccount',
  'web/front',
  ['spiffe://td/ns/web/a/sa/front'],
  ['spiffe://td/ns/web//sa/front', 'spiffe://td/ns/webx/sa/front'],
);

// Values that this version cannot read are errors, never conditions that hold or fail by chance.
for (const [field, value] of [
  ['ip', '10.0.0.0/33'],
  ['ip', '10.0.0'],
  ['port', '65536'],
  ['port', 'http'],
  ['serviceAccount', 'a/b/c'],
  ['serviceAccount', '/b'],
  ['path', '/a{*}'],
  ['path', '/{**}/{**}'],
  ['path', '/{**}/{*}'],
  ['path', 'a/{*}'],
] as const) {
  test(`${field} \`${value}\` is refused`, () => {
    const parsed = parseCondition({ field, negated: false, values: [value] }, SCOPE);
    assert.equal(parsed.ok, false);
  });
}
