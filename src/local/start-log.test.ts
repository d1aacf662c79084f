import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EVENT } from '#telemetry';
import { openBoundedFile } from './bounded-file.ts';
import { createSidecarLog, sidecarLogPath } from './start-log.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-logs-'));
after(() => rmSync(root, { recursive: true }));

function logIn(verbose = false) {
  const folder = mkdtempSync(join(root, 'sidecar-'));
  let said = '';
  let now = Date.parse('2026-06-01T00:00:00Z');
  const log = createSidecarLog({
    name: 'proxy shop/orders',
    service: 'orders',
    verbose,
    folder,
    stderr: { write: (text) => (said += text) },
    clock: () => now,
  });
  const taken = (): string => {
    const text = said;
    said = '';
    return text;
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  const path = sidecarLogPath(folder);
  return { log, taken, pass, path, kept: () => readFileSync(path, 'utf8') };
}

test('the application’s terminal gets what a person has to act on, in words, and the file gets all', () => {
  const { log, taken, path, kept } = logIn();
  log.warn(EVENT.endpointEjected, { service: 'b', address: '127.0.0.1:1' });
  log.warn(EVENT.connectionRefused, { ip: '127.0.0.1' });
  log.info(EVENT.identityReceived, {});
  assert.equal(taken(), '');
  log.error(EVENT.policyRefused, { namespace: 'shop', number: 7, reason: 'too few signatures' });
  assert.equal(
    taken(),
    'palisade: the sidecar of orders refuses version 7 of shop and enforces what it had: too few signatures\n' +
      `  help: see \`palisade status\`; its log is ${path}\n`,
  );
  assert.equal(kept().trim().split('\n').length, 4);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('the same is not said again and again, and that it is over is said', () => {
  const { log, taken, pass } = logIn();
  const lose = () => log.warn(EVENT.configurationLost, { reason: 'ECONNREFUSED' });
  log.info(EVENT.configurationConnected);
  assert.equal(taken(), '');
  lose();
  assert.match(
    taken(),
    /has lost the mesh and enforces what it has: ECONNREFUSED\n {2}help: start it/,
  );
  lose();
  assert.equal(taken(), '');
  log.info(EVENT.configurationConnected);
  assert.equal(taken(), 'palisade: the sidecar of orders is connected to the mesh again\n');
  const fill = () => log.error(EVENT.spoolWriteFailed, { error: new Error('ENOSPC') });
  fill();
  assert.match(
    taken(),
    /cannot keep access records on disk: ENOSPC\n {2}help: see whether the disk/,
  );
  pass(599_999);
  fill();
  assert.equal(taken(), '');
  pass(1);
  fill();
  assert.match(taken(), /ENOSPC/);
});

test('attack: a reason that would command the terminal, and one without end', () => {
  const { log, taken } = logIn();
  log.error(EVENT.identityLost, { reason: `\u001b[2J\r\nhidden${'x'.repeat(10_000)}` });
  const said = taken();
  // oxlint-disable-next-line no-control-regex -- control characters are what must not come through
  assert.doesNotMatch(said.replaceAll('\n', ''), /[\u0000-\u001f]/);
  assert.equal(said.split('\n').length, 3);
  assert.ok(said.length < 600);
});

test('with --verbose all of it comes, down to the details', () => {
  const { log, taken, kept } = logIn(true);
  log.debug(EVENT.identityReceived, {});
  log.warn(EVENT.endpointEjected, {});
  assert.equal(taken(), kept());
  assert.equal(kept().trim().split('\n').length, 2);
});

test('a log file stays within its bound, over restarts too', () => {
  const path = join(root, 'bounded.log');
  const line = `${'x'.repeat(99)}\n`;
  for (let start = 0; start < 5; start += 1) {
    const file = openBoundedFile(path, 1_000);
    for (let i = 0; i < 30; i += 1) file.write(line);
  }
  const [size, before] = [statSync(path).size, statSync(`${path}.1`).size];
  assert.ok(size <= 1_000 && before <= 1_000 && before > 900, `${size} and ${before} bytes`);
  assert.equal(readFileSync(path, 'utf8').endsWith(line), true);
});

test('a log that cannot be written ends nothing', () => {
  writeFileSync(join(root, 'file'), '');
  const file = openBoundedFile(join(root, 'file', 'x.log'), 1_000);
  assert.doesNotThrow(() => file.write('x\n'));
});
