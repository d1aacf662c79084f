import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgePosture, type PostureFacts } from './posture.ts';

const GOOD: PostureFacts = {
  edges: 4,
  encryptedEdges: 4,
  ports: 4,
  strictPorts: 4,
  services: 4,
  governedServices: 4,
  logs: 2,
  verifiedLogs: 2,
  completeness: 1,
  points: 4,
  stalePoints: 0,
  identities: 4,
  expiringIdentities: 0,
  allowRules: 10,
  wideRules: [],
};

test('a mesh in order has all points and nothing to fix; an empty one too', () => {
  const empty = Object.fromEntries(Object.keys(GOOD).map((key) => [key, 0]));
  for (const facts of [
    GOOD,
    { ...empty, completeness: 1, wideRules: [] } as unknown as PostureFacts,
  ]) {
    const { score, parts } = judgePosture(facts);
    assert.equal(score, 100);
    assert.equal(
      parts.reduce((sum, part) => sum + part.of, 0),
      100,
    );
    assert.deepEqual(
      parts.map(({ fix }) => fix),
      parts.map(() => ''),
    );
  }
});

test('what is wrong costs points in its own part, which says why and what to run', () => {
  const cases = [
    ['mutual TLS', { encryptedEdges: 3 }, 21.8],
    ['mutual TLS', { strictPorts: 2 }, 18.7],
    ['policy', { governedServices: 1 }, 5],
    ['audit', { verifiedLogs: 1 }, 7.5],
    ['audit', { completeness: 0.9 }, 13.5],
    ['enforcement', { stalePoints: 1 }, 11.2],
    ['identities', { expiringIdentities: 4 }, 0],
    ['narrow rules', { wideRules: ['default/open'] }, 9],
  ] as const;
  for (const [name, change, expected] of cases) {
    const { score, parts } = judgePosture({ ...GOOD, ...change });
    const part = parts.find((one) => one.name === name);
    assert.equal(part?.score, expected, name);
    assert.equal(score, Number((100 - part.of + expected).toFixed(1)));
    assert.ok(part.fix !== '' && part.why !== '' && part.command.startsWith('palisade '));
  }
});

test('what is nearly all right never shows as all right', () => {
  const { parts, mtlsCoverage } = judgePosture({ ...GOOD, edges: 100_000, encryptedEdges: 99_999 });
  assert.equal(parts[0]?.score, 24.9);
  assert.notEqual(parts[0].fix, '');
  assert.ok(mtlsCoverage < 1);
});
