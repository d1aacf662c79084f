import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TelemetryRules } from '#snapshot';
import { compileTelemetry } from './telemetry-policy.ts';
import { setsFrom } from './testing/resources.ts';

const ORDERS = { namespace: 'default', service: 'orders', labels: { app: 'orders' } };
const SELECT = 'selector: {matchLabels: {app: orders}}';
const NOTHING: TelemetryRules = {
  recordsPerSecond: undefined,
  rolloutMs: undefined,
  headers: [],
  paths: [],
  hashed: [],
};

function policy(namespace: string, name: string, spec: string): string {
  return `---
apiVersion: palisade.dev/v1
kind: TelemetryPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
`;
}

/** Checks what is recorded of calls of `default/orders`. */
function check(name: string, yaml: string, expected: Partial<TelemetryRules>): void {
  test(name, () => {
    assert.deepEqual(compileTelemetry(setsFrom(yaml), ORDERS), { ...NOTHING, ...expected });
  });
}

check('nothing at all', '', {});
check('the mesh', policy('palisade-system', 'm', '{records: {perSecond: 7}}'), {
  recordsPerSecond: 7,
});
check(
  'the nearest policy that sets a field counts for it',
  policy('palisade-system', 'm', '{records: {perSecond: 7, headers: [User-Agent]}}') +
    policy('default', 'all', '{records: {perSecond: 8}}') +
    policy('default', 'one', `{${SELECT}, records: {perSecond: 9}}`),
  { recordsPerSecond: 9, headers: ['user-agent'] },
);
check(
  'how long a change of policy is followed',
  policy('palisade-system', 'm', '{records: {rollout: 5m}}') +
    policy('default', 'all', '{records: {perSecond: 8}}'),
  { recordsPerSecond: 8, rolloutMs: 300_000 },
);
check(
  'other workloads, and other namespaces, are none of ours',
  policy('default', 'one', '{selector: {matchLabels: {app: web}}, records: {perSecond: 9}}') +
    policy('shop', 'all', '{records: {perSecond: 8}}'),
  {},
);
check(
  'a policy of the root namespace may select workloads of any',
  policy('palisade-system', 'm', `{${SELECT}, records: {perSecond: 3}}`),
  { recordsPerSecond: 3 },
);
check(
  'SECURITY: redaction adds up, whoever asked for it',
  policy('palisade-system', 'm', '{redaction: {paths: ["/reset/{token}"], hashed: [email]}}') +
    policy('default', 'all', '{redaction: {paths: ["/u/*/{name}/**"], hashed: [email, name]}}'),
  {
    hashed: ['email', 'name'],
    paths: [
      {
        isPrefix: true,
        segments: [
          { kind: 'literal', text: 'u' },
          { kind: 'any' },
          { kind: 'secret', name: 'name' },
        ],
      },
      {
        isPrefix: false,
        segments: [
          { kind: 'literal', text: 'reset' },
          { kind: 'secret', name: 'token' },
        ],
      },
    ],
  },
);
