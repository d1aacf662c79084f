import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { MeshSettings } from '#client';
import { checkClock, checkFiles, checkPorts } from './doctor-findings.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-doctor-'));
after(() => rmSync(root, { recursive: true }));
const key = join(root, 'ca', 'ca.key');
mkdirSync(join(root, 'ca'));
writeFileSync(key, 'a key', { mode: 0o600 });

const NOW = Date.now();
const MINUTE = 60_000;
const certificate = join(root, 'none.crt');

test('files that others may read are named with the command that mends it, wherever they lie', () => {
  assert.deepEqual(
    checkFiles(root, [key]).map(({ good }) => good),
    [true],
  );
  chmodSync(key, 0o644);
  const [found] = checkFiles(root, []);
  assert.equal(found?.good, false);
  assert.match(found?.found ?? '', /ca\.key` has mode 644/);
  assert.equal(found?.help, `chmod 600 '${key}'`);
  chmodSync(key, 0o600);
});

test('very many such files are counted, not listed', () => {
  const folder = join(root, 'many');
  mkdirSync(folder);
  for (let i = 0; i < 25; i += 1) writeFileSync(join(folder, String(i)), '', { mode: 0o604 });
  const found = checkFiles(root, []);
  assert.equal(found.length, 11);
  assert.match(found.at(-1)?.found ?? '', /^15 more/);
  rmSync(folder, { recursive: true });
});

test('a key that is gone is said', () => {
  const [found] = checkFiles(root, [join(root, 'gone.key')]);
  assert.match(found?.found ?? '', /gone\.key` is not there/);
});

test('a clock that went back, or that differs from the control plane’s, is said with the difference', () => {
  const at = (nowMs: number, controlNow?: string) =>
    checkClock({ root, certificate, nowMs, controlNow }).map(({ good, found }) =>
      good ? 'ok' : found,
    );
  assert.deepEqual(at(NOW + MINUTE), ['ok']);
  assert.match(at(NOW - 60 * MINUTE)[0] ?? '', /it went back: files here were written (1h|59m)/);
  const hourLater = new Date(NOW + 60 * MINUTE).toISOString();
  assert.deepEqual(at(NOW, hourLater), ["1h behind the control plane's"]);
  assert.deepEqual(at(NOW + 120 * MINUTE, hourLater), ["1h ahead of the control plane's"]);
  assert.deepEqual(at(NOW, new Date(NOW + 30_000).toISOString()), ['ok']);
  utimesSync(key, NOW / 1000, NOW / 1000);
});

test('another program on the mesh’s port is named, the mesh’s own process is not', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const settings = {
    api: `https://127.0.0.1:${port}`,
    grpc: '127.0.0.1:0',
    ca: '127.0.0.1:0',
    console: 'http://127.0.0.1:0',
  } as MeshSettings;
  try {
    const [found] = checkPorts(root, settings);
    assert.match(found?.found ?? '', new RegExp(`^${port} is taken by process ${process.pid} `));
    symlinkSync(JSON.stringify({ pid: process.pid }), join(root, 'ca', 'lock'));
    assert.deepEqual(checkPorts(root, settings), []);
  } finally {
    server.close();
  }
});
