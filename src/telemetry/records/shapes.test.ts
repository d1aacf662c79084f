import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { createEdgeCounters, type EdgeKey } from '../metrics/edge.ts';
import { createHistogram } from '../metrics/histogram.ts';
import { createRecordedCall } from './access-record.ts';
import { createRecordedConnection } from './format-record.ts';
import { createSampler } from './sampler.ts';

// An object whose fields outgrew their kind has another shape than a new one, and code that meets both may be compiled in
// vain again and again: a sidecar was hit by that or not from start to start, for two fifths of its CPU.
setFlagsFromString('--allow-natives-syntax');
const haveSameShape = new Function('a', 'b', 'return %HaveSameMap(a, b)') as (
  a: object,
  b: object,
) => boolean;

const connection = createRecordedConnection({
  kind: 'http',
  reporter: 'destination',
  sourceId: null,
  sourceService: null,
  sourceIp: null,
  destinationId: null,
  destinationService: null,
  destinationNamespace: null,
  destinationPort: 80,
  sni: null,
  tlsVersion: null,
  tlsCipher: null,
  tlsGroup: null,
  peerSerial: null,
});
const key: EdgeKey = {
  reporter: 'destination',
  sourceId: null,
  sourceService: null,
  sourceNamespace: null,
  destinationId: null,
  destinationService: null,
  destinationNamespace: null,
  protocol: 'http',
  mtls: true,
};
const LARGE = 2 ** 40;

function check(name: string, create: () => object, fields: readonly string[]): void {
  test(`${name} keeps its shape whatever is counted in it`, () => {
    const before = create();
    const used = create() as Record<string, unknown>;
    for (const field of fields) used[field] = LARGE + 0.5;
    assert.ok(haveSameShape(before, used), `${name}: ${fields.join(', ')}`);
  });
}

check('a call', () => createRecordedCall(connection), [
  'startedAt',
  'durationUs',
  'bytesIn',
  'bytesOut',
]);
check('an edge', () => createEdgeCounters(key), ['requests', 'bytesIn', 'bytesOut', 'durationUs']);
check('a histogram', () => createHistogram(), ['sum']);

test('a route that was never called has the shape of one that is known by heart', () => {
  const sampler = createSampler(1);
  const edge = createEdgeCounters(key);
  for (let i = 0; i < 150; i++) {
    const call = createRecordedCall(connection);
    call.durationUs = 1_000 + i / 3;
    sampler.keeps(call, edge, 1_700_000_000_000 + i);
  }
  const { last = {}, others = {} } = edge.routes ?? {};
  assert.notEqual(last, others);
  assert.ok(haveSameShape(last, others));
});
