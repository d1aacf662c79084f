// The audit log on a disk that fills up: nothing is acknowledged that is not on record, why is said, and once there is room
// every record is there, once, in a log that verifies.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AuditEvent, openAuditLog, SEGMENT_RECORDS, verifyFolder } from '#audit';
import { startFixture } from '../../src/control/control-fixture.ts';
import { mountSmallDisk } from './small-disk.ts';

const onError = (error: unknown): void => assert.fail(String(error));

test('a full disk: actions are refused with the reason, answers go on, and nothing is lost or logged twice', async (t) => {
  const disk = await mountSmallDisk(16);
  if (typeof disk === 'string') return t.skip(disk);
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = disk.folder;
  const mesh = await startFixture();
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  const link = () => mesh.call('POST', '/api/v1/console/links');
  const links = async (): Promise<readonly AuditEvent[]> =>
    (await mesh.call('GET', '/api/v1/audit?action=console.link&limit=1000')).json.items;
  try {
    assert.equal((await link()).status, 201);
    disk.fill();
    let made = 1;
    let answer = await link();
    // What is left of the file's last page is still there to be written to.
    for (; answer.status === 201 && made < 200; made++) answer = await link();
    assert.deepEqual([answer.status, answer.json.code], [507, 'storage_failed']);
    assert.match(answer.json.detail, /audit log could not be written/);
    const next = await link();
    assert.equal(next.status, 507);
    assert.match(next.json.detail, /nothing was changed: .*no space left/i);
    assert.equal((await links()).length, made);
    disk.free();
    assert.equal((await link()).status, 201);
    // That which was done and could not be recorded is on record too: once.
    assert.equal((await links()).length, made + 2);
    await mesh.restart();
    assert.equal((await links()).length, made + 2);
    const { problem } = await verifyFolder(join(mesh.folder, 'control', 'audit'), []);
    assert.equal(problem, undefined);
  } finally {
    await mesh.close();
    await disk.unmount();
  }
});

test('a disk that is full where a segment ends: the next one begins once there is room', async (t) => {
  const disk = await mountSmallDisk(16);
  if (typeof disk === 'string') return t.skip(disk);
  const folder = join(disk.folder, 'audit');
  const log = openAuditLog({ folder, clock: Date.now, onError });
  const append = (n: number) =>
    log.append({ action: 'x.y', 'actor.id': 'ann', 'target.name': `${n}`, result: 'ok' });
  try {
    await Promise.all(Array.from({ length: SEGMENT_RECORDS }, (_, n) => append(n)));
    disk.fill();
    for (let i = 0; i < 3; i++) await assert.rejects(append(-1), /ENOSPC/);
    assert.equal(log.head().size, SEGMENT_RECORDS);
    disk.free();
    assert.equal((await append(SEGMENT_RECORDS)).index, SEGMENT_RECORDS);
    await log.close();
    const { size, problem } = await verifyFolder(folder, []);
    assert.deepEqual([size, problem], [SEGMENT_RECORDS + 1, undefined]);
    const again = openAuditLog({ folder, clock: Date.now, onError });
    assert.deepEqual([again.setAside, again.head()], [[], log.head()]);
    await again.close();
  } finally {
    await disk.unmount();
  }
});
