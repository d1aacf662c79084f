import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeContext } from '../../fake-context.ts';
import { startFakeControlPlane } from '../../fake-control-plane.ts';
import { runCli } from '../../program.ts';
import { previewLines, type RevocationPreview } from './revocation-preview.ts';

const WEB = 'spiffe://cluster.local/ns/default/sa/web';
const PREVIEW: RevocationPreview = {
  what: `identity ${WEB}`,
  revokedAlready: false,
  certificates: 2,
  identities: [
    { spiffeId: WEB, serials: ['b1', 'b2'], heldBy: ['default/web/1'], outcome: 'ends' },
  ],
  edges: [
    {
      source: 'default/web',
      destination: 'default/orders',
      side: 'caller',
      partly: false,
      calls: 312,
      connections: 1,
    },
  ],
  totals: { identities: 1, edges: 1, calls: 312, connections: 1 },
  countedFrom: '2026-03-02T09:55:00.000Z',
  points: 1,
  log: { reachable: true, reason: '' },
};
const NOTHING: RevocationPreview = {
  ...PREVIEW,
  certificates: 0,
  identities: [],
  edges: [],
  totals: { identities: 0, edges: 0, calls: 0, connections: 0 },
};

test('the preview says whose certificates, which traffic, on what it is based, and that nothing was done', () => {
  assert.deepEqual(previewLines(PREVIEW), [
    `would revoke identity ${WEB}`,
    '',
    '2 valid certificates of 1 identity:',
    'IDENTITY                                   CERTIFICATES   HELD BY         THEN',
    `${WEB}   2              default/web/1   gets none while this is revoked`,
    '',
    'traffic of the last 5 minutes that would be cut: 312 calls, 1 TCP connection begun, on 1 edge',
    'EDGE                           CALLS   TCP BEGUN   LOSES ITS IDENTITY',
    'default/web → default/orders   312     1           caller',
    'since 2026-03-02T09:55:00.000Z, as sidecars counted; what has been open and silent for longer is cut too and not seen here',
    '',
    'nothing was revoked: 1 connected enforcement point would be told',
  ]);
});

test('what is not known is said, and a name cannot command the terminal', () => {
  const cases: [Partial<RevocationPreview>, RegExp][] = [
    [{ revokedAlready: true }, /^would revoke identity \S+, which is revoked already$/m],
    [
      NOTHING,
      /^no valid certificate is hit: a name that was meant may be in `palisade identity list`$/m,
    ],
    [NOTHING, /^no traffic of the last 5 minutes is hit \(since /m],
    [
      { ...NOTHING, log: { reachable: false, reason: 'refused' } },
      /^the issuance log cannot be read now \(refused\): there may be more$/m,
    ],
    [{ totals: { ...PREVIEW.totals, edges: 21 } }, /^… and 20 more$/m],
    [{ what: 'identity \u001b[2J' }, /^would revoke identity \ufffd\[2J$/m],
    [
      { edges: PREVIEW.edges.map((edge) => ({ ...edge, partly: true, side: 'both' })) },
      / both, some instances$/m,
    ],
  ];
  for (const [over, expected] of cases) {
    assert.match(previewLines({ ...PREVIEW, ...over }).join('\n'), expected);
  }
});

test('each way to name a target asks for just that, and nothing is signed or sent', async () => {
  const id = encodeURIComponent(WEB);
  const before = '2026-03-02T09:00:00.000Z';
  const agent = encodeURIComponent('spiffe://cluster.local/palisade/agent/node-7');
  const cases = [
    ['web', `kind=identity&id=${id}`],
    [
      `web --issued-before ${before}`,
      `kind=identity&issuedBefore=${encodeURIComponent(before)}&id=${id}`,
    ],
    ['00:4f:0c:1a:4f:0c:1a:4f:0c', 'kind=serial&serial=4f0c1a4f0c1a4f0c'],
    ['agent/node-7', `kind=agent&id=${agent}`],
    [`--issued-before ${before}`, `kind=all&issuedBefore=${encodeURIComponent(before)}`],
  ] as const;
  const answers = Object.fromEntries(
    cases.map(([, query]) => [`GET /revocations/preview?${query}`, PREVIEW]),
  );
  const control = await startFakeControlPlane(answers);
  try {
    for (const [words, query] of cases) {
      const askedBefore = control.asked.length;
      const context = createFakeContext();
      const argv = [
        '--data',
        control.dataDir,
        'identity',
        'revoke',
        ...words.split(' '),
        '--dry-run',
      ];
      assert.equal(await runCli([...argv, '-o', 'json'], context), 0, context.complained());
      assert.equal(JSON.parse(context.printed()).totals.calls, 312);
      assert.deepEqual(control.asked.slice(askedBefore), [`GET /revocations/preview?${query}`]);
    }
    const context = createFakeContext();
    const argv = ['--data', control.dataDir, 'identity', 'revoke', 'other', '--dry-run'];
    assert.equal(await runCli(argv, context), 2);
    assert.match(context.complained(), /too old to tell what would be hit/);
  } finally {
    control.close();
  }
});
