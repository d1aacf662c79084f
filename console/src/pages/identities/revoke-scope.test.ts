import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RevocationPreview } from '../../api/revocation-preview.ts';
import { cutSentence, parseRevocation, previewPath, revokeCommand } from './revoke-scope.ts';

const WEB = 'spiffe://cluster.local/ns/shop/sa/web';
const AGENT = 'spiffe://cluster.local/palisade/agent/node-7';
const NOW = '2026-03-02T10:00:00.000Z';
const NOW_MS = Date.parse(NOW);

const cases: { address: object; asks: Record<string, string> | undefined; command: string }[] = [
  { address: {}, asks: undefined, command: '' },
  { address: { revoke: '' }, asks: undefined, command: '' },
  { address: { revoke: WEB }, asks: { kind: 'identity', id: WEB }, command: WEB },
  {
    address: { revoke: WEB, scope: 'issued', serial: 'ab' },
    asks: { kind: 'identity', id: WEB, issuedBefore: NOW },
    command: `${WEB} --issued-before now`,
  },
  {
    address: { revoke: WEB, scope: 'serial', serial: 'ab' },
    asks: { kind: 'serial', serial: 'ab' },
    command: 'ab',
  },
  // An address without the serial must not revoke less than it shows.
  {
    address: { revoke: WEB, scope: 'serial' },
    asks: { kind: 'identity', id: WEB },
    command: WEB,
  },
  { address: { revoke: AGENT }, asks: { kind: 'agent', id: AGENT }, command: AGENT },
  {
    address: { revoke: "x'; reboot", scope: 'everything' },
    asks: { kind: 'identity', id: "x'; reboot" },
    command: `'x'\\''; reboot'`,
  },
];

for (const { address, asks, command } of cases) {
  test(`the preview and the command of ${JSON.stringify(address)} mean the same`, () => {
    const planned = parseRevocation(new URLSearchParams({ ...address }));
    if (asks === undefined || planned === undefined) {
      assert.equal(planned, asks);
      return;
    }
    const url = new URL(previewPath(planned, NOW), 'http://x');
    assert.deepEqual(Object.fromEntries(url.searchParams), asks);
    assert.equal(revokeCommand(planned, {}), `palisade identity revoke ${command}`);
    assert.equal(
      revokeCommand(planned, { dryRun: true, reason: ' lost ' }),
      `palisade identity revoke ${command} --reason lost --dry-run`,
    );
  });
}

test('what is cut reads as a sentence with its numbers', () => {
  const base = { countedFrom: '2026-03-02T09:54:50.000Z' } as RevocationPreview;
  const none = { identities: 0, edges: 0, calls: 0, connections: 0 };
  const sentences: [Partial<RevocationPreview>, string][] = [
    [
      { certificates: 0, totals: none },
      'It takes no valid certificate and cuts nothing that passed in the last 5 min.',
    ],
    [
      { certificates: 1, totals: { ...none, identities: 1, edges: 1, calls: 1 } },
      'It takes 1 certificate and cuts 1 edge with 1 call in the last 5 min.',
    ],
    [
      {
        certificates: 3,
        totals: { identities: 2, edges: 2, calls: 1200, connections: 1 },
        countedFrom: '2026-03-02T09:59:30.000Z',
      },
      'It takes 3 certificates of 2 identities and cuts 2 edges with 1,200 calls and 1 TCP connection begun in the last 30 s.',
    ],
  ];
  for (const [over, expected] of sentences) {
    assert.equal(cutSentence({ ...base, ...over }, NOW_MS), expected);
  }
});
