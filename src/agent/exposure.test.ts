import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createFakeScheduler } from '#testing';
import { exposedAddresses, readSocketTables, watchExposure } from './exposure.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n';
const line = (local: string, state = '0A'): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0\n`;

/** Ports 80 and 8080 are the application's. */
const CASES: readonly (readonly [name: string, tcp: string, tcp6: string, want: string])[] = [
  ['nothing there', '', '', ''],
  ['loopback', line('0100007F:0050'), line('00000000000000000000000001000000:0050'), ''],
  ['another loopback', line('0200007F:0050'), '', ''],
  ['everywhere', line('00000000:0050'), '', '0.0.0.0:80'],
  ['everywhere by IPv6', '', line('00000000000000000000000000000000:1F90'), '[::]:8080'],
  ['one address', line('0700A8C0:1F90'), '', '192.168.0.7:8080'],
  [
    'one IPv6 address',
    '',
    line('B80D0120000000000000000007000000:0050'),
    '[2001:db8:0:0:0:0:0:7]:80',
  ],
  ['loopback in IPv6 clothes', '', line('0000000000000000FFFF00000100007F:0050'), ''],
  ['another port', line('00000000:0051'), '', ''],
  ['a connection, not a listener', line('00000000:0050', '01'), '', ''],
  ['no table', 'garbage 00000000:0050\n\0', 'x', ''],
  ['two', line('00000000:0050') + line('00000000:1F90'), '', '0.0.0.0:80,0.0.0.0:8080'],
];

for (const [name, tcp, tcp6, want] of CASES) {
  test(`listening: ${name}`, () => {
    const tables = { tcp: HEAD + tcp, tcp6: HEAD + tcp6 };
    assert.equal(exposedAddresses(tables, new Set([80, 8080])).join(), want);
  });
}

test('attack: an application with endless addresses is cut short', () => {
  const tcp = Array.from({ length: 300 }, (_, i) =>
    line(`${i.toString(16).toUpperCase().padStart(8, '0')}:0050`),
  ).join('');
  assert.equal(exposedAddresses({ tcp, tcp6: '' }, new Set([80])).length, 16);
});

test('a real listener of this machine is seen', async () => {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  assert.deepEqual(exposedAddresses(await readSocketTables(), new Set([port])), [
    `0.0.0.0:${port}`,
  ]);
  server.close();
});

test('attack: a hundred thousand connections: the tables are read as far as something listens', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-exposure-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const listeners = Array.from({ length: 200 }, () => line('00000000:0051'));
  const tcp = HEAD + listeners.join('') + line('00000000:0050');
  writeFileSync(join(folder, 'tcp'), tcp + line('0100007F:0050', '06').repeat(100_000));
  const tables = await readSocketTables(folder);
  assert.deepEqual(exposedAddresses(tables, new Set([80])), ['0.0.0.0:80']);
  assert.ok(tables.tcp.length < tcp.length + 5_000, `${tables.tcp.length} bytes`);
  assert.equal(tables.tcp6, '');
});

test('a change is told once, and looking ends with the watch', async () => {
  const scheduler = createFakeScheduler();
  let tcp = '';
  let changes = 0;
  const watch = watchExposure({
    ports: () => new Set([80]),
    tables: async () => ({ tcp, tcp6: '' }),
    scheduler,
    onChange: () => changes++,
  });
  await scheduler.pass(60_000);
  assert.equal(changes, 0);
  tcp = line('00000000:0050');
  await scheduler.pass(60_000);
  assert.equal(changes, 1);
  assert.deepEqual(watch.current(), ['0.0.0.0:80']);
  tcp = '';
  await scheduler.pass(60_000);
  assert.equal(changes, 2);
  watch.stop();
  tcp = line('00000000:0050');
  await scheduler.pass(60_000);
  assert.equal(changes, 2);
});
