import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareSocket } from './agent-socket.ts';
import { createKernelCredentials } from './credentials.ts';

test('the kernel names the process at the other end, and knows when it is gone', async () => {
  const source = await createKernelCredentials();
  assert.ok(source.ok, source.ok ? '' : source.error);
  const folder = mkdtempSync(join(tmpdir(), 'palisade-credentials-'));
  const path = join(folder, 's');
  // Half-open, so that the socket stays when the child ends, as for an agent that is slow to notice.
  const server = createServer({ allowHalfOpen: true });
  server.listen(path);
  await once(server, 'listening');
  const script = `require('net').connect(${JSON.stringify(path)}); process.stdin.resume()`;
  const child = spawn(process.execPath, ['-e', script]);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const peer = source.value.credentialsOf(socket);
  assert.ok(peer.ok, peer.ok ? '' : peer.error);
  assert.equal(peer.value.pid, child.pid);
  assert.equal(peer.value.uid, process.getuid?.());
  assert.equal(peer.value.gid, process.getgid?.());
  const { isAlive } = peer.value;
  // Before Linux 6.5 there is no pidfd to ask, and the start time alone has to do.
  if (isAlive !== undefined) assert.equal(isAlive(), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  if (isAlive !== undefined) assert.equal(isAlive(), false);
  socket.destroy();
  await once(socket, 'close');
  assert.equal(source.value.credentialsOf(socket).ok, false, 'a closed socket has no peer');
  server.close();
  rmSync(folder, { recursive: true });
});

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

test('attack: a process of another user passes for nobody else, and only where others are let in', {
  skip: isRoot ? false : 'needs root to start a process of another user',
}, async () => {
  const source = await createKernelCredentials();
  assert.ok(source.ok);
  const folder = mkdtempSync(join(tmpdir(), 'palisade-credentials-'));
  chmodSync(folder, 0o711);
  const prepared = await prepareSocket(join(folder, 's'), 0o666);
  assert.ok(prepared.ok);
  const server = createServer();
  server.listen(prepared.value.path);
  await once(server, 'listening');
  prepared.value.publish();
  // It gives up root by itself, since Node.js may lie where other users cannot read.
  const script = `process.setgroups([]); process.setgid(${NOBODY}); process.setuid(${NOBODY});
      require('net').connect(${JSON.stringify(join(folder, 's'))}).on('error', (e) => console.log(e.code));
      setTimeout(() => {}, 60_000)`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const peer = source.value.credentialsOf(socket);
  assert.ok(peer.ok);
  assert.deepEqual([peer.value.uid, peer.value.gid], [NOBODY, NOBODY]);
  chmodSync(join(folder, 's'), 0o600);
  const second = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [refused] = (await once(second.stdout, 'data')) as [Buffer];
  assert.equal(refused.toString().trim(), 'EACCES');
  child.kill('SIGKILL');
  second.kill('SIGKILL');
  await Promise.all([once(child, 'exit'), once(second, 'exit')]);
  socket.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});
