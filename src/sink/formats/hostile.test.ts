import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Evidence } from '../evidence.ts';
import { fakeAlert, fakeAudit, fakeRecord } from '../fake-evidence.ts';
import { cefLine } from './cef.ts';
import { ecsLine } from './ecs.ts';
import { jsonDelivery, jsonLine } from './json.ts';
import { ocsfLine } from './ocsf.ts';
import { frameSyslog, syslogMessage } from './syslog.ts';

const AUTHOR = { version: '0.2.0', trustDomain: 'cluster.local', hostname: 'control-1' };
const LINES: Readonly<Record<string, (item: Evidence) => string>> = {
  json: jsonLine,
  cef: (item) => cefLine(item, AUTHOR),
  ecs: (item) => ecsLine(item, AUTHOR),
  ocsf: (item) => ocsfLine(item, AUTHOR),
};
// What a terminal, a reader of lines or a syslog server would take for something of its own.
// oxlint-disable-next-line no-control-regex -- they are what must not be there
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

const HOSTILE: readonly string[] = [
  '/x\n<34>1 2026-01-31T12:00:00Z host app - - - forged',
  '/x\r\nCEF:0|Palisade|Palisade|1|call.allowed|forged|1|',
  '/x|10|act=allow suser=spiffe://cluster.local/ns/default/sa/admin',
  '/x suser=spiffe://cluster.local/ns/default/sa/admin',
  '/x\\',
  '/x\\= y\\|z',
  '\u001b]0;owned\u0007\u001b[2J\u001b[31mdenied',
  '\u009b2J\u0090q\u009c',
  '"},"verdict":"allow","x":{"',
  '</script><script>alert(1)</script>',
  'a\u2028b\u2029c\u0000d',
  '\ud800',
  '99999 <13>1 - - - - - -',
  '__proto__',
  'constructor',
];

/** The item with `text` wherever somebody outside of the mesh can put some. */
function items(text: string): readonly Evidence[] {
  return [
    fakeRecord(1, { path: text, host: text, method: text, 'source.service': text, node: text }),
    fakeRecord(2, {
      verdict: 'deny',
      reason: 'peer_unauthenticated',
      path: text,
      'source.id': text,
    }),
    fakeAudit({
      action: 'policy.commit',
      'actor.id': text,
      reason: text,
      'target.name': text,
      diff: text,
    }),
    fakeAudit({ action: 'admin.sign_in', 'actor.id': text, 'actor.ip': text, reason: text }),
    fakeAlert({ summary: text, labels: { service: text }, evidence: [{ text, link: text }] }),
  ];
}

for (const [format, write] of Object.entries(LINES)) {
  test(`log injection: in ${format} nothing ends a line or commands a terminal`, () => {
    for (const text of HOSTILE) {
      for (const item of items(text)) assert.doesNotMatch(write(item), DANGEROUS);
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        for (const item of items(text)) assert.doesNotMatch(write(item), DANGEROUS);
      }),
      { numRuns: 100 },
    );
  });
}

test('log injection: JSON formats hold what was written, as a value', () => {
  for (const text of HOSTILE.filter((one) => one.isWellFormed())) {
    const [record] = items(text);
    assert.ok(record);
    assert.equal(JSON.parse(jsonLine(record)).path, text);
    assert.equal(JSON.parse(ecsLine(record, AUTHOR)).url.path, text);
    assert.equal(JSON.parse(ocsfLine(record, AUTHOR)).http_request.url.path, text);
    const body = JSON.parse(jsonDelivery([record], { id: 'msg_1', sink: 'x' }));
    assert.deepEqual([body.id, body.count, body.items[0].path], ['msg_1', 1, text]);
  }
});

/** Reads CEF as its specification says; undefined where it is none. */
function parseCef(line: string) {
  const parts = line.split(/(?<!\\)(?:\\\\)*\|/);
  const at = /^CEF:0\|(?:(?:[^|\\]|\\.)*\|){6}/.exec(line);
  if (at === null || parts.length < 8) return undefined;
  const extension: Record<string, string> = {};
  const text = line.slice(at[0].length);
  for (const [, key = '', value = ''] of text.matchAll(/(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|$)/g)) {
    extension[key] = value.replaceAll(/\\([\\=nr])/g, (_all, character: string) =>
      character === 'n' ? '\n' : character === 'r' ? '\r' : character,
    );
  }
  const fields = [...at[0].slice(6).matchAll(/((?:[^|\\]|\\.)*)\|/g)].map(([, field = '']) =>
    field.replaceAll(/\\([\\|])/g, '$1'),
  );
  return { fields, extension };
}

test('log injection: CEF keeps its seven fields and its keys whatever a caller sends', () => {
  const plain = parseCef(cefLine(fakeRecord(1), AUTHOR));
  assert.deepEqual(plain?.fields, [
    'Palisade',
    'Palisade',
    '0.2.0',
    'call.allowed',
    'request allowed',
    '1',
  ]);
  for (const text of HOSTILE) {
    const [record] = items(text);
    assert.ok(record);
    const parsed = parseCef(cefLine(record, AUTHOR));
    assert.deepEqual(parsed?.fields, plain?.fields, text);
    assert.deepEqual(
      Object.keys(parsed?.extension ?? {}),
      Object.keys(plain?.extension ?? {}),
      text,
    );
    assert.equal(parsed?.extension['act'], 'allow');
    assert.equal(parsed?.extension['suser'], plain?.extension['suser']);
    if (!DANGEROUS.test(text)) assert.equal(parsed?.extension['request'], text);
  }
});

test('log injection: a syslog frame says how long it is, and its header has no room for others', () => {
  const header =
    /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) - (access|audit|alert) - /;
  for (const text of [...HOSTILE, 'ä'.repeat(40)]) {
    for (const item of items(text)) {
      const origin = { facility: 'local0', appName: text, hostname: text } as const;
      const message = syslogMessage(item, cefLine(item, AUTHOR), origin);
      assert.match(message.toString('utf8'), header);
      const frame = frameSyslog(message);
      const length = Number.parseInt(frame.toString('latin1'), 10);
      assert.equal(frame.length, String(length).length + 1 + length);
    }
  }
});

test('texts as long as a caller likes are cut, in CEF each by itself', () => {
  const line = cefLine(fakeRecord(1, { path: `/${'x|='.repeat(20_000)}` }), AUTHOR);
  assert.ok(line.length < 16_000, `${line.length}`);
  assert.ok(parseCef(line)?.extension['externalId'] === 'r-1');
});

test('an address of IPv6 has the key that CEF has for one', () => {
  const six = parseCef(cefLine(fakeRecord(1, { 'source.ip': '2001:db8::7' }), AUTHOR))?.extension;
  assert.deepEqual(
    [six?.['src'], six?.['c6a2'], six?.['c6a2Label']],
    [undefined, '2001:db8::7', 'Source IPv6 Address'],
  );
  const four = parseCef(cefLine(fakeAudit({ 'actor.ip': '192.0.2.7' }), AUTHOR))?.extension;
  assert.equal(four?.['src'], '192.0.2.7');
});
