import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResources } from './parse.ts';

/** A Service's budget gives exactly these problems, each as `line code`. */
function check(name: string, budget: string, expected: readonly string[], protocol = 'http'): void {
  test(`caller budget: ${name}`, () => {
    const text = `apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders}
spec:
  ports: [{port: 80, protocol: ${protocol}}]
  callerBudget:
${budget}
`;
    const { diagnostics } = parseResources([{ file: 'f', text }], { defaultNamespace: 'default' });
    assert.deepEqual(
      diagnostics.map(({ line, code }) => `${line} ${code}`),
      expected,
    );
  });
}

const ALL = `    units: 600
    per: 1m
    defaultCost: 2
    costs:
      - cost: 50
        rules: [{to: [{operation: {paths: [/reports/*]}}]}]`;

check('all fields', ALL, []);
check('units alone', '    units: 5', []);
check('no units', '    per: 1m', ['7 missing_field']);
check('no units at all', '    units: 0', ['7 bad_value']);
check('a request that nobody can pay', ALL.replace('50', '601'), ['11 never_matches']);
check('a default that nobody can pay', ALL.replace('Cost: 2', 'Cost: 700'), ['9 never_matches']);
check('a cost below nothing', ALL.replace('50', '-1'), ['11 bad_value']);
check('a window too short to count in', ALL.replace('1m', '10ms'), ['8 bad_value']);
check('a cost for no request', ALL.replace(/rules: .*/, 'rules: []'), ['12 empty_value']);
check('a typing error', `${ALL}\n    window: 1m`, ['13 unknown_field']);
check('a service that takes no requests', ALL, ['7 http_field_on_tcp'], 'tcp');
check('gRPC', ALL, [], 'grpc');
