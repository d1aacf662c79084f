import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyFinding, PolicyHit, ResourceEntry } from '../../api/policy-set.ts';
import { lineMarks } from './rule-marks.ts';

const NOW_MS = Date.parse('2026-03-02T10:00:00.000Z');
const ago = (ms: number): string => new Date(NOW_MS - ms).toISOString();
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const ENTRY: ResourceEntry = {
  namespace: 'shop',
  kind: 'AuthorizationPolicy',
  name: 'orders',
  key: 'AuthorizationPolicy/orders',
  resource: { spec: { action: 'ALLOW' } },
  source: 'spec:\n  rules:\n    - from: []\n    - {}\n',
  number: 3,
  author: 'ann',
  time: ago(3 * DAY),
};
const hit = (rule: number, count: number, lastAgoMs: number): PolicyHit => ({
  namespace: 'shop',
  policy: 'shop/orders',
  rule: String(rule),
  verdict: 'allow',
  count,
  last: ago(lastAgoMs),
});
const finding = (line: number, code: string, key = ENTRY.key): PolicyFinding => ({
  key,
  line,
  code,
  message: '',
  help: '',
});

const DEAD = '!dead: no call on record';
const cases: {
  name: string;
  entry?: Partial<ResourceEntry>;
  hits?: PolicyHit[];
  allHits?: PolicyHit[];
  findings?: PolicyFinding[];
  expected: Record<number, string[]>;
}[] = [
  {
    name: 'one used, one dead',
    hits: [hit(0, 2, HOUR)],
    expected: { 3: ['2 calls in 24 h'], 4: [DEAD] },
  },
  {
    name: 'used, but not lately',
    allHits: [hit(0, 2, 2 * DAY), hit(1, 1, DAY * 1.5)],
    expected: {
      3: ['no call in 24 h, the last 2 d ago'],
      4: ['no call in 24 h, the last 36 h ago'],
    },
  },
  {
    name: 'what an earlier version of the rule decided does not count',
    allHits: [hit(0, 9, 4 * DAY)],
    expected: { 3: [DEAD], 4: [DEAD] },
  },
  {
    name: 'changed a moment ago',
    entry: { time: ago(HOUR / 2) },
    expected: { 3: ['no call yet'], 4: ['no call yet'] },
  },
  {
    name: 'a denial that nobody met is not dead',
    entry: { resource: { spec: { action: 'DENY' } } },
    expected: { 3: ['no call yet'], 4: ['no call yet'] },
  },
  {
    name: 'wide and used',
    hits: [hit(0, 1, HOUR), hit(1, 1, HOUR)],
    findings: [finding(4, 'wide_rule'), finding(4, 'wide_rule', 'AuthorizationPolicy/web')],
    expected: { 3: ['1 call in 24 h'], 4: ['!wide: lets anybody in', '1 call in 24 h'] },
  },
  {
    name: 'a finding of `validate` without words of ours',
    hits: [hit(0, 1, HOUR), hit(1, 1, HOUR)],
    findings: [finding(3, 'covered_by_denial')],
    expected: { 3: ['!covered by denial', '1 call in 24 h'], 4: ['1 call in 24 h'] },
  },
  {
    name: 'in dry-run no rule decides',
    entry: { resource: { metadata: { annotations: { 'istio.io/dry-run': 'true' } } } },
    expected: {},
  },
  { name: 'no text of its author', entry: { source: null }, expected: {} },
  { name: 'another kind', entry: { kind: 'Service' }, expected: {} },
];

for (const { name, entry, hits = [], allHits = [], findings = [], expected } of cases) {
  test(`beside the lines of a policy: ${name}`, () => {
    const facts = { hits, allHits: [...hits, ...allHits], findings };
    const marks = lineMarks({ ...ENTRY, ...entry }, facts, NOW_MS);
    const shown = Object.fromEntries(
      Array.from(marks, ([line, all]) => [
        line,
        all.map(({ words, tone }) => (tone === undefined ? words : `!${words}`)),
      ]),
    );
    assert.deepEqual(shown, expected);
  });
}

test('what is not known yet is not called dead', () => {
  const unknown = { hits: undefined, allHits: undefined, findings: undefined };
  assert.equal(lineMarks(ENTRY, unknown, NOW_MS).size, 0);
});
