import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PlaintextPort, plaintextText } from './plaintext-report.ts';

const OPTIONS = { since: '1d', paint: (_style: string, text: string) => text };

function port(over: Partial<PlaintextPort>): PlaintextPort {
  return {
    service: 'default/orders',
    port: 80,
    mode: 'PERMISSIVE',
    setBy: 'Mesh mesh',
    calls: 0,
    couldBeStrict: true,
    callers: [],
    ...over,
  };
}

/** Checks the text for some ports. */
function check(name: string, ports: readonly PlaintextPort[], text: string): void {
  test(`plaintext report: ${name}`, () => {
    assert.equal(plaintextText({ since: '', ports }, OPTIONS), text);
  });
}

check('nothing open', [], 'every port of every service asks for mutual TLS');
check(
  'one could be closed',
  [port({})],
  'default/orders port 80 is PERMISSIVE (Mesh mesh): no plaintext in the last 1d\n\ncould turn STRICT today: default/orders',
);
check(
  'callers are named, what is DISABLE is not proposed',
  [
    port({
      calls: 8,
      couldBeStrict: false,
      callers: [
        { sourceIp: '10.0.0.7', verdict: 'allow', count: 7, last: '' },
        { sourceIp: null, verdict: 'deny', count: 1, last: '' },
      ],
    }),
    port({ service: 'default/old', mode: 'DISABLE', setBy: null, couldBeStrict: false }),
  ],
  [
    'default/orders port 80 is PERMISSIVE (Mesh mesh): 8 plaintext calls in the last 1d',
    '  7 × 10.0.0.7',
    '  1 × an unknown address, denied',
    'default/old port 80 is DISABLE: no plaintext in the last 1d',
    '',
    'none of them could turn STRICT today',
  ].join('\n'),
);
