import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createSelfSignedClient } from '#identity';
import { createSilentLog } from '#telemetry';
import { openAdmins } from './admins.ts';
import { startFixture } from './control-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-admins-'));
after(() => rmSync(folder, { recursive: true }));

test('a list with a word that nobody knows is refused whole, so that nobody gets more than was meant', () => {
  const file = join(folder, 'admins.json');
  const fingerprint = 'a'.repeat(64);
  const cases = [
    [[{ name: 'ann', fingerprint }], true],
    [[{ name: 'ann', fingerprint, readOnly: true }], true],
    [[{ name: 'ann', fingerprint, readonly: true }], false],
    [[{ name: 'ann', fingerprint, readOnly: 'yes' }], false],
    [[{ name: '', fingerprint }], false],
    [{}, false],
  ] as const;
  for (const [list, isGood] of cases) {
    writeFileSync(file, JSON.stringify(list));
    const open = () => openAdmins(file, Date.now, createSilentLog());
    if (isGood) assert.ok(open());
    else assert.throws(open, /is not a list of admins/, JSON.stringify(list));
  }
});

test('a reader sees metrics and everything else that can be read, and changes nothing', async () => {
  const mesh = await startFixture();
  try {
    const reader = createSelfSignedClient({
      commonName: 'prometheus',
      nowMs: Date.now(),
      ttlMs: 60_000,
    });
    const file = join(mesh.folder, 'admins.json');
    const { fingerprint } = reader;
    writeFileSync(file, JSON.stringify([{ name: 'prometheus', fingerprint, readOnly: true }]));
    utimesSync(file, new Date(), new Date());
    await mesh.restart();
    for (const path of ['/metrics', '/api/v1/alerts', '/api/v1/overview']) {
      assert.equal((await mesh.call('GET', path, { client: reader })).status, 200, path);
    }
    const body = { match: { name: 'denial-burst' }, reason: 'hide me', ends_at: '2h' };
    const refused = await mesh.call('POST', '/api/v1/silences', { client: reader, body });
    assert.deepEqual([refused.status, refused.json.code], [403, 'read_only']);
    const link = await mesh.call('POST', '/api/v1/console/links', { client: reader });
    assert.equal(link.status, 403);
    const accept = 'application/openmetrics-text; version=1.0.0';
    const open = await mesh.call('GET', '/metrics', { client: reader, headers: { accept } });
    assert.match(open.headers['content-type'] ?? '', /^application\/openmetrics-text/);
    assert.ok(open.text.endsWith('# EOF\n'));
  } finally {
    await mesh.close();
  }
});
