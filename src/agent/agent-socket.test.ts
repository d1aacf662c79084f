import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { prepareSocket } from './agent-socket.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-socket-'));
after(() => rmSync(folder, { recursive: true }));

async function listen(path: string, mode = 0o600) {
  const prepared = await prepareSocket(path, mode);
  assert.ok(prepared.ok, prepared.ok ? '' : prepared.error);
  const server = createServer((socket) => socket.destroy());
  server.listen(prepared.value.path);
  await once(server, 'listening');
  prepared.value.publish();
  return { server, prepared: prepared.value };
}

test('a socket gets its mode, a live one is not replaced, a removed one is gone', async () => {
  const path = join(folder, 'a.sock');
  const { server, prepared } = await listen(path, 0o666);
  assert.equal(statSync(path).mode & 0o777, 0o666);
  const second = await prepareSocket(path, 0o600);
  assert.match(second.ok ? '' : second.error, /another agent answers/);
  prepared.remove();
  assert.equal(existsSync(path), false);
  server.close();
});

test('the socket that a killed process left behind is replaced', async () => {
  const path = join(folder, 'b.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up')); process.stdin.resume()`;
  const child = spawn(process.execPath, ['-e', script]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(existsSync(path), true);
  const { server, prepared } = await listen(path);
  prepared.remove();
  server.close();
});

test('the socket of a successor is not removed', async () => {
  const path = join(folder, 'c.sock');
  const first = await listen(path);
  rmSync(path);
  const second = await listen(path);
  first.prepared.remove();
  assert.equal(existsSync(path), true);
  second.prepared.remove();
  first.server.close();
  second.server.close();
});

test('what is no socket, and a path too long, are refused in words', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'mine');
  const file = await prepareSocket(path, 0o600);
  assert.match(file.ok ? '' : file.error, /not a socket/);
  const long = await prepareSocket(join(folder, 'x'.repeat(120)), 0o600);
  assert.match(long.ok ? '' : long.error, /longer than 107 bytes/);
});
